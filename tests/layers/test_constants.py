"""Batch norm constants and initial weights."""

import pytest
import torch
from torch import nn

from pocketcnn.layers import (
    batch_norm,
    fan_out_normal_weights,
    fan_out_truncated_weights,
    glorot_uniform_weights,
    he_normal_weights,
    normal_weights,
    shufflenet_weights,
    truncated_normal_weights,
    uniform_fan_in_weights,
)


def test_decay_of_tensorflow_is_one_minus_the_momentum_of_torch():
    norm = batch_norm(eps=1e-3, decay=0.99)(8)
    assert (norm.num_features, norm.eps, norm.momentum) == (8, 1e-3, pytest.approx(0.01))


def test_weights_are_drawn_from_the_truncated_normal_and_biases_are_zero():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(16, 64, 3), nn.Linear(64, 256))
    truncated_normal_weights(network, std=0.09)
    for layer in network:
        assert layer.weight.abs().max() <= 0.18
        assert layer.weight.std().item() == pytest.approx(
            0.09 * 0.8796, rel=0.05
        )  # the cut at 2 std narrows it by 12 %
        assert not layer.bias.any()


def test_fan_out_weights_have_the_variance_of_their_fan_out():
    torch.manual_seed(0)
    depthwise, pointwise, linear = nn.Conv2d(512, 512, 3, groups=512), nn.Conv2d(64, 256, 1), nn.Linear(64, 100)
    fan_out_normal_weights(nn.Sequential(depthwise, pointwise, linear))
    assert depthwise.weight.std().item() == pytest.approx((2 / 9) ** 0.5, rel=0.05)
    assert pointwise.weight.std().item() == pytest.approx((2 / 256) ** 0.5, rel=0.05)
    assert linear.weight.abs().max().item() == pytest.approx(0.1, rel=0.01)
    assert not any(layer.bias.any() for layer in (depthwise, pointwise, linear))


def test_shufflenet_weights_shrink_with_the_channels_that_are_read():
    torch.manual_seed(0)
    first, grouped, linear = nn.Conv2d(3, 64, 3), nn.Conv2d(64, 512, 1, groups=4), nn.Linear(64, 64)
    norm = nn.BatchNorm2d(4)
    shufflenet_weights(nn.Sequential(first, grouped, linear, norm), first=first)
    assert first.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert linear.weight.std().item() == pytest.approx(0.01, rel=0.1)
    assert grouped.weight.std().item() == pytest.approx(1 / 16, rel=0.1)
    assert norm.bias.tolist() == pytest.approx([0.0001] * 4)


def test_uniform_fan_in_weights_have_the_variance_of_one_over_the_fan_in():
    torch.manual_seed(0)
    conv = nn.Conv2d(32, 64, 3, groups=2)
    uniform_fan_in_weights(conv)
    assert conv.weight.abs().max().item() == pytest.approx((3 / 144) ** 0.5, rel=0.01)
    assert conv.weight.std().item() == pytest.approx((1 / 144) ** 0.5, rel=0.05)
    assert not conv.bias.any()


def test_he_weights_count_every_output_channel_whatever_the_groups():
    torch.manual_seed(0)
    conv, linear = nn.Conv2d(64, 128, 3, groups=4), nn.Linear(64, 8)
    before = linear.weight.detach().clone()
    he_normal_weights(nn.Sequential(conv, linear))
    assert conv.weight.std().item() == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.05)
    assert torch.equal(linear.weight, before)
    assert not linear.bias.any()


def test_glorot_weights_lie_between_fan_in_and_fan_out():
    torch.manual_seed(0)
    linear = nn.Linear(300, 100)
    glorot_uniform_weights(linear)
    assert linear.weight.abs().max().item() == pytest.approx((6 / 400) ** 0.5, rel=0.01)
    assert not linear.bias.any()


def test_normal_weights_have_the_deviation_that_is_asked_for():
    torch.manual_seed(0)
    conv = nn.Conv2d(16, 64, 3)
    normal_weights(conv, std=0.3)
    assert conv.weight.std().item() == pytest.approx(0.3, rel=0.05)
    assert not conv.bias.any()


def test_truncated_fan_out_weights_keep_the_variance_of_two_over_the_fan_out():
    torch.manual_seed(0)
    depthwise, linear = nn.Conv2d(512, 512, 3, groups=512), nn.Linear(100, 400)
    fan_out_truncated_weights(nn.Sequential(depthwise, linear))
    for layer, fan_out in ((depthwise, 9), (linear, 400)):
        assert layer.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)
        assert layer.weight.abs().max().item() <= 2 * (2.6 / fan_out) ** 0.5

"""Batch norm constants and initial weights."""

import pytest
import torch
from torch import nn

from pocketcnn.layers import batch_norm, set_batch_norm, truncated_normal_weights


def test_decay_of_tensorflow_is_one_minus_the_momentum_of_torch():
    norm = batch_norm(eps=1e-3, decay=0.99)(8)
    assert (norm.num_features, norm.eps, norm.momentum) == (8, 1e-3, pytest.approx(0.01))


def test_set_batch_norm_changes_only_what_is_given():
    network = nn.Sequential(nn.BatchNorm2d(2, eps=1e-3, momentum=3e-4), nn.Sequential(nn.BatchNorm2d(3)))
    set_batch_norm(network, momentum=0.2)
    assert [(m.eps, m.momentum) for m in network.modules() if isinstance(m, nn.BatchNorm2d)] == [
        (1e-3, 0.2),
        (1e-5, 0.2),
    ]
    set_batch_norm(network, eps=1e-4)
    assert [m.eps for m in network.modules() if isinstance(m, nn.BatchNorm2d)] == [1e-4, 1e-4]


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

"""MobileNetV4's two bottlenecks beside plain torch functions for their numbers, and beside their docstrings' formulas."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pocketcnn.layers import ConvNormAct, FusedInvertedBottleneck, UniversalInvertedBottleneck
from tests.support.layers import SIDES, STRIDES, WIDTHS, halved, madds, randomised, steady

KERNELS = st.sampled_from([0, 3, 5])


@steady
@given(SIDES, SIDES, WIDTHS, WIDTHS, WIDTHS, KERNELS, KERNELS, STRIDES)
def test_the_universal_one_costs_its_formula(h, w, m, n, e, start, middle, stride):
    stride = stride if start or middle else 1
    area_out = halved(h, stride) * halved(w, stride)
    area = h * w if middle else area_out
    block = UniversalInvertedBottleneck(m, n, expanded=e, start_kernel=start, middle_kernel=middle, stride=stride)
    assert madds(block, m, h, w) == area * (start**2 * m + m * e) + area_out * (middle**2 * e + e * n)


@steady
@given(SIDES, SIDES, WIDTHS, WIDTHS, WIDTHS, STRIDES)
def test_the_fused_one_costs_its_formula(h, w, m, n, e, stride):
    area_out = halved(h, stride) * halved(w, stride)
    assert madds(FusedInvertedBottleneck(m, n, expanded=e, stride=stride), m, h, w) == area_out * (9 * m * e + e * n)


def conv_norm(x: torch.Tensor, unit: ConvNormAct, stride: int = 1, *, depthwise: bool = False) -> torch.Tensor:
    padding, groups = unit.conv.weight.shape[-1] // 2, x.shape[1] if depthwise else 1
    return unit.norm(F.conv2d(x, unit.conv.weight, stride=stride, padding=padding, groups=groups))


def test_the_extra_depthwise_form_equals_plain_torch():
    torch.manual_seed(0)
    block = randomised(UniversalInvertedBottleneck(4, 6, expanded=12, start_kernel=3, middle_kernel=5, stride=2))
    x = torch.randn(2, 4, 9, 9)
    y = conv_norm(x, block.start, depthwise=True)  # no activation, no stride
    y = F.relu(conv_norm(y, block.expand))
    y = F.relu(conv_norm(y, block.middle, 2, depthwise=True))
    torch.testing.assert_close(block(x), conv_norm(y, block.project))


def test_without_the_middle_convolution_the_first_takes_the_stride():
    torch.manual_seed(1)
    block = randomised(UniversalInvertedBottleneck(4, 6, expanded=8, start_kernel=5, stride=2))
    x = torch.randn(2, 4, 8, 8)
    y = F.relu(conv_norm(conv_norm(x, block.start, 2, depthwise=True), block.expand))
    torch.testing.assert_close(block(x), conv_norm(y, block.project))


def test_a_block_of_equal_shapes_adds_its_input():
    torch.manual_seed(2)
    x = torch.randn(2, 4, 5, 5)
    feed_forward = randomised(UniversalInvertedBottleneck(4, 4, expanded=8))
    y = conv_norm(F.relu(conv_norm(x, feed_forward.expand)), feed_forward.project)
    torch.testing.assert_close(feed_forward(x), x + y)
    fused = randomised(FusedInvertedBottleneck(4, 4, expanded=8))
    y = conv_norm(F.relu(conv_norm(x, fused.expand)), fused.project)
    torch.testing.assert_close(fused(x), x + y)


@pytest.mark.parametrize(
    ("start", "middle", "parts"),
    [(0, 0, "expand project"), (3, 0, "start expand project"), (0, 3, "expand middle project")],
)
def test_parts_that_are_not_there_have_no_layers(start, middle, parts):
    block = UniversalInvertedBottleneck(4, 4, expanded=8, start_kernel=start, middle_kernel=middle)
    assert " ".join(name for name, _ in block.named_children()) == parts
    assert not any(isinstance(part, nn.ReLU) for part in block.project)


def test_a_stride_needs_a_depthwise_convolution():
    with pytest.raises(ValueError, match="stride"):
        UniversalInvertedBottleneck(4, 4, expanded=8, stride=2)

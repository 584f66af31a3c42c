"""The modules with a shift beside plain loops for their numbers, and beside their docstrings' formulas for their MAdds."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from pocketcnn.layers import ConvShiftConv, Shift, ShiftResidualUnit
from tests.support.layers import SIDES, STRIDES, WIDTHS, halved, madds, randomised, steady

KERNELS = st.sampled_from([1, 3, 5])


def shifted(x: torch.Tensor, kernel: int, dilation: int = 1) -> torch.Tensor:
    """Channels in kernel² equal groups, each moved by its own offset with zeros coming in; the remainder stays."""
    reach, share = kernel // 2, x.shape[1] // kernel**2
    y, channel = x.clone(), 0
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            for _ in range(share):
                y[:, channel] = moved(x[:, channel], down * dilation, right * dilation)
                channel += 1
    return y


def moved(x: torch.Tensor, down: int, right: int) -> torch.Tensor:
    y = torch.zeros_like(x)
    height, width = x.shape[1:]
    for i in range(max(0, down), min(height, height + down)):
        for j in range(max(0, right), min(width, width + right)):
            y[:, i, j] = x[:, i - down, j - right]
    return y


@pytest.mark.parametrize(("channels", "kernel", "dilation"), [(9, 3, 1), (20, 3, 1), (25, 5, 1), (18, 3, 2), (4, 3, 1)])
def test_shift_moves_its_groups_and_leaves_the_remainder(channels, kernel, dilation):
    x = torch.randn(2, channels, 5, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(Shift(channels, kernel, dilation)(x), shifted(x, kernel, dilation))


@steady
@given(SIDES, SIDES, WIDTHS, WIDTHS, st.integers(1, 4), KERNELS, STRIDES)
def test_conv_shift_conv_costs_its_formula(h, w, m, n, expansion, kernel, stride):
    area, area_out = h * w, halved(h, stride) * halved(w, stride)
    options = {"expansion": expansion, "kernel": kernel, "stride": stride}
    e = expansion * n
    assert madds(ConvShiftConv(m, n, join="replace", **options), m, h, w) == area * m * e + area_out * e * n
    assert madds(ConvShiftConv(m, m + n, join="concat", **options), m, h, w) == area * m * e + area_out * e * n


@steady
@given(SIDES, SIDES, WIDTHS, WIDTHS, st.integers(1, 4), STRIDES)
def test_a_shift_residual_unit_costs_its_formula(h, w, m, n, expansion, stride):
    area, area_out, e = h * w, halved(h, stride) * halved(w, stride), expansion * n
    unit = ShiftResidualUnit(m, n, expansion=expansion, stride=stride, project=True)
    assert madds(unit, m, h, w) == area * m * e + area_out * e * n + area_out * m * n


@pytest.mark.parametrize(("join", "out"), [("add", 6), ("concat", 10), ("replace", 8)])
def test_conv_shift_conv_equals_plain_torch(join, out):
    torch.manual_seed(0)
    stride = 1 if join == "add" else 2
    block = randomised(ConvShiftConv(6, out, expansion=3, stride=stride, join=join))
    x, branch = torch.randn(2, 6, 7, 7), block.branch
    y = shifted(F.conv2d(F.relu(branch.norm1(x)), branch.expand.weight), 3)
    y = F.conv2d(F.relu(branch.norm2(y)), branch.project.weight, stride=stride)
    if join == "add":
        y = x + y
    elif join == "concat":
        y = torch.cat((y, F.avg_pool2d(x, 3, 2, padding=1)), dim=1)
    torch.testing.assert_close(block(x), y)


def test_a_shift_residual_unit_equals_plain_torch():
    torch.manual_seed(1)
    unit, x = randomised(ShiftResidualUnit(6, 8, expansion=2, stride=2, project=True)), torch.randn(2, 6, 7, 7)
    expand, project = unit.branch.expand, unit.branch.project
    y = shifted(F.relu(expand.norm(F.conv2d(x, expand.conv.weight))), 3)
    y = project.norm(F.conv2d(y, project.conv.weight, stride=2))
    shortcut = unit.shortcut.norm(F.conv2d(x, unit.shortcut.conv.weight, stride=2))
    torch.testing.assert_close(unit(x), F.relu(y + shortcut))


def test_only_equal_shapes_can_be_added():
    with pytest.raises(ValueError, match="6 channels at stride 2 cannot be added to 6"):
        ConvShiftConv(6, 6, expansion=1, stride=2)

"""ShuffleNet's units beside plain torch functions for their numbers, and beside their docstrings' formulas for their MAdds."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from pocketcnn.layers import ShuffleV1Unit, ShuffleV2Unit
from tests.support.layers import SIDES, STRIDES, WIDTHS, halved, madds, randomised, steady


def shuffled(x: torch.Tensor, groups: int) -> torch.Tensor:
    """Output channel j · G + g is input channel g · (C / G) + j, written out."""
    each = x.shape[1] // groups
    return x[:, [g * each + j for j in range(each) for g in range(groups)]]


@steady
@given(SIDES, SIDES, st.integers(1, 3), st.integers(1, 3), st.sampled_from([1, 2, 3, 4, 8]), STRIDES)
def test_a_v1_unit_costs_its_formula(h, w, m, n, g, stride):
    m, out, b = 4 * m * g, 4 * (m + n) * g, (m + n) * g
    area, area_out = h * w, halved(h, stride) * halved(w, stride)
    beside = ShuffleV1Unit(m, out, groups=g, stride=stride, concat=True)
    assert madds(beside, m, h, w) == area * m * b // g + area_out * (9 * b + b * (out - m) // g)
    added = ShuffleV1Unit(out, out, groups=g)
    assert madds(added, out, h, w) == area * (out * b // g + 9 * b + b * out // g)


def grouped(x: torch.Tensor, unit: torch.nn.Module, groups: int, stride: int = 1) -> torch.Tensor:
    padding = unit.conv.weight.shape[-1] // 2
    return unit.norm(F.conv2d(x, unit.conv.weight, stride=stride, padding=padding, groups=groups))


def test_a_v1_unit_adds_its_input_and_shuffles_between_the_groups():
    torch.manual_seed(0)
    unit, x = randomised(ShuffleV1Unit(24, 24, groups=3)), torch.randn(2, 24, 5, 5)
    y = shuffled(F.relu(grouped(x, unit.reduce, 3)), groups=3)
    y = grouped(grouped(y, unit.depthwise, 6), unit.expand, 3)  # no activation after the depthwise convolution
    torch.testing.assert_close(unit(x), F.relu(x + y))


def test_a_strided_v1_unit_puts_the_pooled_input_in_front():
    torch.manual_seed(1)
    unit = randomised(ShuffleV1Unit(12, 48, groups=3, stride=2, concat=True, reduce_groups=1))
    x = torch.randn(2, 12, 7, 7)
    y = shuffled(F.relu(grouped(x, unit.reduce, 1)), groups=3)
    y = grouped(grouped(y, unit.depthwise, 12, stride=2), unit.expand, 3)
    torch.testing.assert_close(unit(x), torch.cat((F.avg_pool2d(x, 3, 2, padding=1), F.relu(y)), dim=1))


def test_a_v1_unit_cannot_add_what_has_another_shape():
    with pytest.raises(ValueError, match="12 channels at stride 2 cannot be added to 24"):
        ShuffleV1Unit(12, 24, groups=3, stride=2)


@steady
@given(SIDES, SIDES, WIDTHS)
def test_a_split_v2_unit_costs_its_formula(h, w, c):
    assert madds(ShuffleV2Unit(2 * c, 2 * c), 2 * c, h, w) == 2 * h * w * c**2 + h * w * 9 * c


@steady
@given(SIDES, SIDES, WIDTHS, WIDTHS, STRIDES)
def test_a_whole_v2_unit_costs_its_formula(h, w, m, c, stride):
    area, area_out = h * w, halved(h, stride) * halved(w, stride)
    unit = ShuffleV2Unit(m, 2 * c, stride=stride, split=False)
    assert madds(unit, m, h, w) == area * m * c + area_out * (9 * c + c**2 + 9 * m + m * c)


def test_a_split_v2_unit_leaves_half_of_the_channels_as_they_are():
    torch.manual_seed(0)
    unit, x = randomised(ShuffleV2Unit(8, 8)), torch.randn(2, 8, 5, 5)
    expected = shuffled(torch.cat((x[:, :4], unit.branch(x[:, 4:])), dim=1), groups=2)
    torch.testing.assert_close(unit(x), expected)
    torch.testing.assert_close(unit(x)[:, ::2], x[:, :4])


def test_a_whole_v2_unit_filters_all_channels_twice():
    torch.manual_seed(1)
    unit, x = randomised(ShuffleV2Unit(6, 8, stride=2, split=False)), torch.randn(2, 6, 7, 7)
    depthwise = unit.shortcut.depthwise
    filtered = F.conv2d(x, depthwise.conv.weight, stride=2, padding=1, groups=6)
    shortcut = F.relu(unit.shortcut.pointwise.norm(unit.shortcut.pointwise.conv(depthwise.norm(filtered))))
    torch.testing.assert_close(unit(x), shuffled(torch.cat((shortcut, unit.branch(x)), dim=1), groups=2))


@pytest.mark.parametrize("options", [{"in_channels": 8, "stride": 2}, {"in_channels": 6}])
def test_a_split_v2_unit_keeps_the_shape(options):
    with pytest.raises(ValueError, match="split=True"):
        ShuffleV2Unit(out_channels=8, **options)

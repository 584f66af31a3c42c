"""ShuffleNet's units beside plain torch functions for their numbers, and beside their docstrings' formulas for their MAdds."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from layer_support import SIDES, STRIDES, WIDTHS, halved, madds, randomised, steady

from pocketcnn.layers import ShuffleV2Unit


def shuffled(x: torch.Tensor, groups: int) -> torch.Tensor:
    """Output channel j · G + g is input channel g · (C / G) + j, written out."""
    each = x.shape[1] // groups
    return x[:, [g * each + j for j in range(each) for g in range(groups)]]


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

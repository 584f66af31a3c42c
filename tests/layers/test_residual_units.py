import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from pocketcnn.layers import BasicUnit, BottleneckUnit, ConvNormAct
from tests.support.layers import SIDES, STRIDES, WIDTHS, halved, madds, randomised, steady


@steady
@given(SIDES, SIDES, WIDTHS, WIDTHS, STRIDES)
def test_a_basic_unit_costs_its_formula(h, w, m, n, stride):
    area_out = halved(h, stride) * halved(w, stride)
    unit = BasicUnit(m, n, stride=stride, project=True)
    assert madds(unit, m, h, w) == area_out * (9 * m * n + 9 * n**2) + area_out * m * n
    assert madds(BasicUnit(m, m), m, h, w) == h * w * 18 * m**2


@steady
@given(SIDES, SIDES, WIDTHS, WIDTHS, STRIDES, st.booleans())
def test_a_bottleneck_unit_costs_its_formula(h, w, m, b, stride, stride_on_3x3):
    n = 4 * b
    area_out = halved(h, stride) * halved(w, stride)
    first = h * w if stride_on_3x3 else area_out
    unit = BottleneckUnit(m, n, stride=stride, project=True, stride_on_3x3=stride_on_3x3)
    assert madds(unit, m, h, w) == first * m * b + area_out * (9 * b**2 + b * n) + area_out * m * n


def conv_norm(x: torch.Tensor, unit: ConvNormAct, stride: int = 1) -> torch.Tensor:
    return unit.norm(F.conv2d(x, unit.conv.weight, stride=stride, padding=unit.conv.weight.shape[-1] // 2))


def test_units_equal_plain_torch():
    torch.manual_seed(0)
    x = torch.randn(2, 8, 7, 7)
    basic = randomised(BasicUnit(8, 8))
    y = conv_norm(F.relu(conv_norm(x, basic.branch.conv1)), basic.branch.conv2)
    torch.testing.assert_close(basic(x), F.relu(y + x))
    strided = randomised(BottleneckUnit(8, 16, stride=2, project=True))
    y = F.relu(conv_norm(F.relu(conv_norm(x, strided.branch.conv1)), strided.branch.conv2, 2))
    y = conv_norm(y, strided.branch.conv3)
    torch.testing.assert_close(strided(x), F.relu(y + conv_norm(x, strided.shortcut, 2)))


def test_without_projection_the_shape_must_stay():
    with pytest.raises(ValueError, match="8 channels at stride 2 cannot be added to 8"):
        BasicUnit(8, 8, stride=2)

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from pocketcnn.layers import FactorizedReduction, TwiceSeparable
from tests.support.layers import SIDES, STRIDES, WIDTHS, halved, madds, randomised, steady


@steady
@given(SIDES, SIDES, WIDTHS, WIDTHS, st.sampled_from([3, 5, 7]), STRIDES, st.sampled_from(["symmetric", "same"]))
def test_twice_separable_costs_its_formula(h, w, m, n, k, stride, padding):
    area_out = halved(h, stride) * halved(w, stride)
    block = TwiceSeparable(m, n, k, stride=stride, padding=padding)
    assert madds(block, m, h, w) == area_out * (k**2 * m + m * n + k**2 * n + n**2)


@steady
@given(SIDES, SIDES, WIDTHS, WIDTHS)
def test_a_factorized_reduction_costs_its_formula(h, w, m, n):
    assert madds(FactorizedReduction(m, 2 * n), m, h, w) == halved(h, 2) * halved(w, 2) * m * 2 * n


def test_twice_separable_equals_plain_torch():
    torch.manual_seed(0)
    block, x = randomised(TwiceSeparable(3, 4, 5, stride=2)), torch.randn(2, 3, 7, 8)
    y = F.conv2d(F.relu(x), block.depthwise1.weight, stride=2, padding=2, groups=3)
    y = block.norm1(F.conv2d(y, block.pointwise1.weight))  # nothing between depthwise and pointwise
    y = F.conv2d(F.relu(y), block.depthwise2.weight, padding=2, groups=4)
    torch.testing.assert_close(block(x), block.norm2(F.conv2d(y, block.pointwise2.weight)))


@pytest.mark.parametrize("side", [1, 6, 7])
def test_a_factorized_reduction_sees_even_and_odd_pixels(side):
    torch.manual_seed(1)
    block, x = randomised(FactorizedReduction(3, 4)), torch.randn(2, 3, side, side)
    half = -(-side // 2)
    odd = torch.zeros(2, 3, half, half)
    odd[:, :, : side // 2, : side // 2] = F.relu(x)[:, :, 1::2, 1::2]  # zeros beyond the border
    parts = (F.conv2d(F.relu(x)[:, :, ::2, ::2], block.even.weight), F.conv2d(odd, block.odd.weight))
    torch.testing.assert_close(block(x), block.norm(torch.cat(parts, dim=1)))


def test_an_odd_width_cannot_be_halved():
    with pytest.raises(ValueError, match="5 channels"):
        FactorizedReduction(3, 5)

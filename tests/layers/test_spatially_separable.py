import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pocketcnn.layers import SpatiallySeparable
from tests.support.layers import SIDES, STRIDES, WIDTHS, halved, madds, randomised, steady


@steady
@given(SIDES, SIDES, WIDTHS, WIDTHS, st.sampled_from([1, 3, 5, 7]), STRIDES)
def test_costs_its_formula(h, w, m, n, k, stride):
    h_out, w_out = halved(h, stride), halved(w, stride)
    block = SpatiallySeparable(m, n, k, stride=stride)
    assert madds(block, m, h, w) == h_out * w * k * m * n + h_out * w_out * k * n**2
    assert block.to("meta")(torch.empty(2, m, h, w, device="meta")).shape == (2, n, h_out, w_out)


def test_equals_plain_torch():
    torch.manual_seed(0)
    block, x = randomised(SpatiallySeparable(3, 4, 5, stride=2)), torch.randn(2, 3, 8, 9)
    y = F.relu(block.norm1(F.conv2d(x, block.column.weight, stride=(2, 1), padding=(2, 0))))
    expected = F.relu(block.norm2(F.conv2d(y, block.row.weight, stride=(1, 2), padding=(0, 2))))
    torch.testing.assert_close(block(x), expected)


def test_without_norm_and_activation_it_is_the_convolution_with_the_outer_product():
    torch.manual_seed(1)
    block = SpatiallySeparable(1, 1, 3, norm=lambda channels: nn.Identity())
    column, row = block.column.weight[0, 0], block.row.weight[0, 0]
    x = torch.randn(1, 1, 6, 6)
    linear = F.conv2d(F.conv2d(x, block.column.weight, padding=(1, 0)), block.row.weight, padding=(0, 1))
    torch.testing.assert_close(linear, F.conv2d(x, (column @ row)[None, None], padding=1))

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pocketcnn.layers import AvgPoolSame, Conv2dSame, ConvNormAct, MaxPoolSame, conv2d, pad_same
from tests.support.layers import SIDES, STRIDES, steady

KERNELS = st.sampled_from([1, 3, 5, 7])


@steady
@given(SIDES, SIDES, KERNELS, STRIDES, st.sampled_from(["symmetric", "same"]))
def test_both_ways_give_the_rounded_up_quotient(height, width, kernel, stride, padding):
    conv = conv2d(1, 1, kernel, stride=stride, padding=padding)
    assert conv(torch.zeros(1, 1, height, width)).shape[2:] == (-(-height // stride), -(-width // stride))


@steady
@given(SIDES, KERNELS, STRIDES)
def test_same_pads_as_little_as_possible_and_the_odd_pixel_comes_last(size, kernel, stride):
    padded = pad_same(torch.ones(1, 1, size, 1), kernel, stride)[0, 0].sum(1)
    added = len(padded) - size
    before = int(padded.nonzero()[0]) if added else 0
    assert before == added // 2
    windows = -(-size // stride)
    assert len(padded) == max(size, (windows - 1) * stride + kernel)


def test_same_is_what_the_definition_of_tensorflow_computes():
    torch.manual_seed(0)
    conv, image = Conv2dSame(2, 3, 3, 2, bias=False), torch.randn(1, 2, 6, 7)
    expected = F.conv2d(F.pad(image, (1, 1, 0, 1)), conv.weight, stride=2)  # 7 columns are odd, 6 rows even
    torch.testing.assert_close(conv(image), expected)


def test_without_stride_both_ways_are_one():
    assert type(conv2d(4, 4, 3, padding="same")) is nn.Conv2d
    assert type(conv2d(4, 4, 1, stride=2, padding="same")) is nn.Conv2d
    assert type(ConvNormAct(4, 4, 3, stride=2, padding="same").conv) is Conv2dSame


@pytest.mark.parametrize("size", [4, 5])
def test_the_value_of_the_pixels_added_can_be_chosen(size):
    padded = pad_same(torch.zeros(1, 1, size, size), 3, 2, value=-1.0)
    assert padded.min() == -1


@pytest.mark.parametrize(("height", "width"), [(6, 7), (7, 8), (5, 5), (2, 1)])
def test_pooling_with_same_padding_ignores_what_is_added(height, width):
    x = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(0)) - 5  # zeros would win
    padded = pad_same(x, 3, 2, value=float("-inf"))
    torch.testing.assert_close(MaxPoolSame(3, 2)(x), F.max_pool2d(padded, 3, 2))
    inside = F.avg_pool2d(pad_same(torch.ones_like(x), 3, 2), 3, 2)
    counted = F.avg_pool2d(pad_same(x, 3, 2), 3, 2)
    torch.testing.assert_close(AvgPoolSame(3, 2, count_padding=True)(x), counted)
    torch.testing.assert_close(AvgPoolSame(3, 2)(x), counted / inside)

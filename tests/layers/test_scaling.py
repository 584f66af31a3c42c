"""Channels under a width multiplier, and strides for small images."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketcnn.errors import UsageError
from pocketcnn.layers import keep_total_stride, make_divisible
from pocketcnn.vision import require_torchvision

MOBILENET_V2 = [2, 1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1]


def test_the_stem_loses_its_stride_first_then_the_first_strided_stages():
    assert keep_total_stride([2, 1, 2, 2, 2, 2], 32) == (2, 1, 2, 2, 2, 2)
    assert keep_total_stride([2, 1, 2, 2, 2, 2], 16) == (1, 1, 2, 2, 2, 2)
    assert keep_total_stride([2, 1, 2, 2, 2, 2], 8) == (1, 1, 1, 2, 2, 2)
    assert keep_total_stride([2, 1, 2, 2, 2, 2], 2) == (1, 1, 1, 1, 1, 2)


@settings(deadline=None, derandomize=True)
@given(st.lists(st.sampled_from([1, 2]), max_size=12), st.data())
def test_the_product_is_the_total_and_what_is_left_is_a_tail_of_the_original(strides, data):
    total = 2 ** data.draw(st.integers(0, strides.count(2)))
    kept = keep_total_stride(strides, total)
    assert math.prod(kept) == total
    first = next((i for i, stride in enumerate(kept) if stride != 1), len(strides))
    assert list(kept[first:]) == strides[first:]
    assert set(kept[:first]) <= {1}


@pytest.mark.parametrize("total", [0, 3, 64, -2])
def test_an_unreachable_total_names_the_reachable_ones(total):
    with pytest.raises(UsageError, match=f"total stride of {total}.*32, 16, 8, 4, 2, 1"):
        keep_total_stride(MOBILENET_V2, total)


@settings(deadline=None, derandomize=True)
@given(st.floats(0.01, 4000), st.sampled_from([1, 4, 8, 16, 32]))
def test_multiple_of_the_divisor_and_never_more_than_a_tenth_below(value, divisor):
    rounded = make_divisible(value, divisor)
    assert rounded % divisor == 0
    assert rounded >= max(divisor, 0.9 * value)
    assert rounded <= value + divisor


@settings(deadline=None, derandomize=True)
@given(st.floats(0.01, 4000))
def test_agrees_with_torchvision(value):
    assert make_divisible(value) == require_torchvision("models._utils")._make_divisible(value, 8)


@pytest.mark.parametrize(("value", "rounded"), [(11.2, 16), (8.4, 8), (1, 8), (12, 16), (1792.0, 1792)])
def test_known_widths(value, rounded):
    assert make_divisible(value) == rounded

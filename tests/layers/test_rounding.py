import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketcnn.layers import make_divisible
from pocketcnn.vision import require_torchvision


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

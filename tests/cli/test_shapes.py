"""Sizes of images as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketcnn.cli.shapes import format_shape, parse_input, parse_size
from pocketcnn.errors import UsageError

side = st.integers(1, 8192)


@given(side, side, side)
def test_what_is_printed_is_read_back(channels: int, height: int, width: int) -> None:
    assert parse_input(format_shape((channels, height, width))) == (channels, height, width)
    assert parse_size(format_shape((height, width))) == (height, width)


@given(side)
def test_one_number_is_a_square(number: int) -> None:
    assert parse_input(str(number)) == (3, number, number)
    assert parse_size(str(number)) == (number, number)


@pytest.mark.parametrize("text", ["3X24X32", " 3x24x32 "])
def test_capitals_and_spaces_do_not_matter(text: str) -> None:
    assert parse_input(text) == (3, 24, 32)


def test_two_numbers_are_height_and_width() -> None:
    assert parse_input("24x32") == (3, 24, 32)


@pytest.mark.parametrize("text", ["", "x", "3x", "224x", "3x0x5", "1x2x3x4", "-3x4", "3.5", "224,224", "9999", "٣"])
def test_anything_else_is_refused_with_the_grammar(text: str) -> None:
    with pytest.raises(UsageError, match=r"write 3x224x224 \(channels x height x width\), 224x192 or 224"):
        parse_input(text)
    with pytest.raises(UsageError, match="write 32 or 24x32"):
        parse_size(text)


def test_a_size_has_no_channels() -> None:
    with pytest.raises(UsageError, match="'3x24x32' is not an image size"):
        parse_size("3x24x32")

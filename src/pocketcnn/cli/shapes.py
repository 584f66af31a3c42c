"""Parses sizes of images: 224, 224x192, 3x224x192."""

import re

from pocketcnn.errors import UsageError

CHANNELS = 3
_SHAPE = re.compile(r"\d+(?:x\d+){0,2}", re.ASCII)
_LARGEST = 8192  # the limit of the input contract


def parse_input(text: str) -> tuple[int, int, int]:
    """(channels, height, width) of ``CxHxW``, ``HxW`` or a single number for a square, with three channels by default.

    Raises:
        UsageError: the text is none of these, or a number is out of range.
    """
    numbers = _numbers(text, "3x224x224 (channels x height x width), 224x192 or 224")
    if len(numbers) < 3:
        numbers = [CHANNELS, *_sides(numbers)]
    return numbers[0], numbers[1], numbers[2]


def parse_size(text: str) -> tuple[int, int]:
    """(height, width) of ``HxW``, or of a single number for a square.

    Raises:
        UsageError: the text is neither, or a number is out of range.
    """
    expected = "32 or 24x32 (height x width)"
    numbers = _numbers(text, expected)
    if len(numbers) == 3:
        raise UsageError(f"'{text}' is not an image size: write {expected}.")
    height, width = _sides(numbers)
    return height, width


def format_shape(shape: tuple[int, ...]) -> str:
    """``3x224x224``."""
    return "x".join(map(str, shape))


def _numbers(text: str, expected: str) -> list[int]:
    compact = text.strip().lower()
    numbers = [int(number) for number in compact.split("x")] if _SHAPE.fullmatch(compact) else []
    if not numbers or not all(1 <= number <= _LARGEST for number in numbers):
        raise UsageError(f"'{text}' is not an image size: write {expected}, with numbers from 1 to {_LARGEST}.")
    return numbers


def _sides(numbers: list[int]) -> list[int]:
    return numbers if len(numbers) == 2 else numbers * 2

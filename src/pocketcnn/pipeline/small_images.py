"""Which images are small: they get another form of the networks and another augmentation."""

SMALL = 64
"""Pixels of the short side below which an image is small."""


def is_small(size: tuple[int, int]) -> bool:
    """Whether an image of (height, width) is small."""
    return min(size) < SMALL

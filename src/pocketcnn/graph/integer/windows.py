"""Sliding windows over feature maps in numpy."""

from collections.abc import Iterator

import numpy as np

Pair = tuple[int, int]


def padded(x: np.ndarray, before: Pair, after: Pair, value: int = 0) -> np.ndarray:
    """`x` (N, C, H, W) padded with rows and columns of `value` before and after."""
    around = [(0, 0), (0, 0), (before[0], after[0]), (before[1], after[1])]
    return np.pad(x, around, constant_values=value)


def taps(
    x: np.ndarray, kernel: Pair, stride: Pair, dilation: Pair, size: Pair
) -> Iterator[tuple[int, int, np.ndarray]]:
    """For each position of the kernel: its row, its column, and the elements of `x` under it in all windows, (N, C, *size)."""
    for row in range(kernel[0]):
        for column in range(kernel[1]):
            top, left = row * dilation[0], column * dilation[1]
            bottom, right = top + stride[0] * (size[0] - 1) + 1, left + stride[1] * (size[1] - 1) + 1
            yield row, column, x[:, :, top : bottom : stride[0], left : right : stride[1]]

"""What the time of a kernel depends on: amounts that can be counted another way."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from pocketcnn.targets.latency.block_text import build
from pocketcnn.targets.latency.features import family, group_width, inside, work
from pocketcnn.targets.latency.kernels import Kernel, split


@given(
    side=st.integers(1, 12),
    window=st.integers(1, 7),
    stride=st.integers(1, 3),
)
def test_multiply_adds_inside_are_those_that_a_convolution_of_ones_adds_up(side: int, window: int, stride: int) -> None:
    padding = window // 2
    if side + 2 * padding < window:
        return
    ones = torch.ones(1, 1, side, side)
    found = F.conv2d(ones, torch.ones(1, 1, window, window), stride=stride, padding=padding)
    shape = (1, *found.shape[2:])
    kernel = Kernel("conv", (), ((1, side, side),), shape, (window, window), (stride, stride), 1, window**2)
    reached = (found.shape[2] - 1) * stride + window - side
    if reached < 0 or reached % 2 or reached // 2 != padding:
        return  # the padding cannot be told from the shapes: less than declared is read
    assert inside(kernel) == int(found.sum())


@pytest.mark.parametrize(
    ("text", "name", "amount"),
    [
        ("12x8x8 conv:1,1,20,0", "in tiles of 16 x 16", 12 * 32 * 64),
        ("16x8x8 conv:1,1,20,0", "in tiles of 16 x 64", 16 * 64 * 64),
        ("24x8x8 conv:1,1,20,0", "in tiles of 1 x 1", 24 * 20 * 64),
    ],
)
def test_channels_that_only_fill_a_tile_are_computed_too(text: str, name: str, amount: int) -> None:
    (kernel,) = [group.kernel for group in split(build(text)) if group.kernel.kind == "pointwise"]
    assert next(value for key, value in work(kernel).items() if key.endswith(name)) == amount


@pytest.mark.parametrize(("width", "filled"), [(16, 16), (48, 16), (8, 8), (24, 8), (12, 4), (4, 4), (6, 1), (3, 1)])
def test_groups_are_told_apart_by_the_register_that_they_fill(width: int, filled: int) -> None:
    text = f"{3 * width}x8x8 grouped:3,1,{3 * width},3,0"
    (kernel,) = [group.kernel for group in split(build(text)) if group.kernel.kind == "grouped"]
    assert group_width(kernel) == filled
    assert family(kernel) == f"grouped by {filled}"

"""Memory layout in a TensorFlow Lite file: channels last.

A value with three axes, (C, H, W), is stored as (N, H, W, C); all others keep the order of their axes after the batch.
The functions here translate the axes of operations (concat, slice, permute, mean, reshape).
"""

from collections.abc import Sequence
from math import prod

import numpy as np

from pocketcnn.graph.node import Shape

BATCH = -1
"""The batch axis in the target shape of a reshape: inferred."""


def stored_order(rank: int) -> tuple[int, ...]:
    """The axes of a value with `rank` axes (without the batch), in storage order."""
    return (1, 2, 0) if rank == 3 else tuple(range(rank))


def stored_axis(axis: int, rank: int) -> int:
    """The position of axis `axis` of a value in its stored tensor."""
    return 1 + stored_order(rank).index(axis)


def stored_shape(shape: Shape, batch: int = 1) -> tuple[int, ...]:
    """The shape of the stored tensor for a value of `shape`."""
    return (batch, *(shape[axis] for axis in stored_order(len(shape))))


def stored_array(array: np.ndarray) -> np.ndarray:
    """The values of one image in storage order."""
    return np.ascontiguousarray(np.transpose(array, stored_order(array.ndim)))[np.newaxis]


def transposition(found: Sequence[int], wanted: Sequence[int]) -> tuple[int, ...] | None:
    """The permutation from axis order `found` to `wanted` (without the batch), or None if they are equal."""
    order = (0, *(1 + list(found).index(axis) for axis in wanted))
    return None if order == tuple(range(len(order))) else order


def is_one_line(shape: Shape) -> bool:
    """Whether a value of `shape` has the same element order in both layouts, because at most one axis is longer than 1."""
    if len(shape) != 3:
        return True
    return shape[0] == 1 or prod(shape[1:]) == 1


def flattened_columns(weight: np.ndarray, shape: Shape) -> np.ndarray:
    """A linear layer's weight (outputs, C·H·W) with its columns reordered for a channels-last feature map of `shape`."""
    rows = weight.reshape(len(weight), *shape)
    return np.ascontiguousarray(rows.transpose(0, 2, 3, 1)).reshape(len(weight), -1)

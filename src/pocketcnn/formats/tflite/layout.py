"""Where the axes of a value lie in a TensorFlow Lite file: channels last.

A value of three axes, (C, H, W), is stored as (N, H, W, C); any other keeps the order of its axes behind the batch.
Everything that speaks of axes (concat, slice, permute, mean, reshape) is translated by the functions here.
"""

from collections.abc import Sequence
from math import prod

import numpy as np

from pocketcnn.graph.node import Shape

BATCH = -1
"""The batch axis in the shapes that a file asks for: whatever is left."""


def stored_order(rank: int) -> tuple[int, ...]:
    """The axes of a value of `rank` axes (without the batch) in the order in which they are stored."""
    return (1, 2, 0) if rank == 3 else tuple(range(rank))


def stored_axis(axis: int, rank: int) -> int:
    """Where the axis `axis` of a value lies in its tensor."""
    return 1 + stored_order(rank).index(axis)


def stored_shape(shape: Shape, batch: int = 1) -> tuple[int, ...]:
    """The shape of the tensor of a value of `shape`."""
    return (batch, *(shape[axis] for axis in stored_order(len(shape))))


def stored_array(array: np.ndarray) -> np.ndarray:
    """The values of one image as its tensor holds them."""
    return np.ascontiguousarray(np.transpose(array, stored_order(array.ndim)))[np.newaxis]


def transposition(found: Sequence[int], wanted: Sequence[int]) -> tuple[int, ...] | None:
    """The permutation of a tensor with axes `found` (without the batch) to the order `wanted`, or None if it has that order."""
    order = (0, *(1 + list(found).index(axis) for axis in wanted))
    return None if order == tuple(range(len(order))) else order


def is_one_line(shape: Shape) -> bool:
    """Whether a value of `shape` has the same elements in the same order, however its axes are stored."""
    if len(shape) != 3:
        return True
    return shape[0] == 1 or prod(shape[1:]) == 1


def flattened_columns(weight: np.ndarray, shape: Shape) -> np.ndarray:
    """The columns of a linear layer's weight (outputs, C·H·W) in the order in which a feature map `shape` is stored."""
    rows = weight.reshape(len(weight), *shape)
    return np.ascontiguousarray(rows.transpose(0, 2, 3, 1)).reshape(len(weight), -1)

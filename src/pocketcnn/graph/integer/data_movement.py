"""Data movement on integers: the operations that move, select or pad values without changing their format."""

from collections.abc import Callable, Mapping
from functools import reduce
from types import MappingProxyType

import numpy as np

from pocketcnn.graph.integer.arithmetic import quantized
from pocketcnn.graph.integer.windows import padded, taps
from pocketcnn.graph.node import Node
from pocketcnn.graph.numerics import ActivationFormat
from pocketcnn.graph.ops.layout import shuffle_order
from pocketcnn.graph.ops.pooling import window_reach

Movement = Callable[[Node, np.ndarray, ActivationFormat, Mapping[str, np.ndarray]], np.ndarray]
"""(node, integers with batch axis, their format, tensors by role) -> integers of the same format."""


def _slice(node: Node, x: np.ndarray, fmt: ActivationFormat, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    index = [slice(None)] * x.ndim
    index[node.integer("axis") + 1] = slice(node.integer("start"), node.integer("stop"), node.integer("step"))
    return x[tuple(index)]


def _shuffle(node: Node, x: np.ndarray, fmt: ActivationFormat, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    return x[:, shuffle_order(x.shape[1], node.integer("groups"))]


def _gather(node: Node, x: np.ndarray, fmt: ActivationFormat, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    return x[:, tensors["index"]]


def _shift(node: Node, x: np.ndarray, fmt: ActivationFormat, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    moved = np.full_like(x, fmt.zero_point)
    for channel, (down, right) in enumerate(zip(node.ints("down"), node.ints("right"), strict=True)):
        (rows, from_rows), (columns, from_columns) = (
            _overlap(size, offset) for size, offset in zip(x.shape[2:], (down, right), strict=True)
        )
        moved[:, channel, rows, columns] = x[:, channel, from_rows, from_columns]
    return moved


def _overlap(size: int, offset: int) -> tuple[slice, slice]:
    """Destination and source slices of an axis of length `size` that is shifted by `offset`."""
    offset = min(max(offset, -size), size)
    return slice(max(offset, 0), size + min(offset, 0)), slice(max(-offset, 0), size + min(-offset, 0))


def _roll(node: Node, x: np.ndarray, fmt: ActivationFormat, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.roll(x, node.ints("shifts"), tuple(axis + 1 for axis in node.ints("axes")))


def _pad(node: Node, x: np.ndarray, fmt: ActivationFormat, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    left, right, top, bottom = node.ints("pads")
    height, width = x.shape[2:]
    kept = x[:, :, max(-top, 0) : height - max(-bottom, 0), max(-left, 0) : width - max(-right, 0)]
    value = int(quantized(np.asarray(node.number("value")), fmt))
    return padded(kept, (max(top, 0), max(left, 0)), (max(bottom, 0), max(right, 0)), value)


def _reshape(node: Node, x: np.ndarray, fmt: ActivationFormat, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    return x.reshape(len(x), *node.shape)


def _permute(node: Node, x: np.ndarray, fmt: ActivationFormat, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    return x.transpose(0, *(axis + 1 for axis in node.ints("order")))


def _max_pool(node: Node, x: np.ndarray, fmt: ActivationFormat, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    around = padded(x, node.pair("padding"), window_reach(node, x.shape[1:]), fmt.low)
    size = (node.shape[1], node.shape[2])
    windows = taps(around, node.pair("kernel"), node.pair("stride"), node.pair("dilation"), size)
    return reduce(np.maximum, (values for _, _, values in windows))


def _upsample(node: Node, x: np.ndarray, fmt: ActivationFormat, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    vertical, horizontal = node.pair("scale")
    return x.repeat(vertical, axis=2).repeat(horizontal, axis=3)


DATA_MOVEMENT: Mapping[str, Movement] = MappingProxyType(
    {
        "slice": _slice,
        "channel_shuffle": _shuffle,
        "gather": _gather,
        "shift": _shift,
        "roll": _roll,
        "pad": _pad,
        "reshape": _reshape,
        "permute": _permute,
        "max_pool": _max_pool,
        "upsample": _upsample,
        "dropout": lambda node, x, fmt, tensors: x,
    }
)

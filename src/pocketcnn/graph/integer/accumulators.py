"""Operations with int32 accumulators: convolution, linear layer, product, sum, mean and average pooling."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from math import prod
from types import MappingProxyType

import numpy as np

from pocketcnn.graph.integer.arithmetic import requantized
from pocketcnn.graph.integer.windows import padded, taps
from pocketcnn.graph.node import Node
from pocketcnn.graph.numerics import ActivationFormat
from pocketcnn.graph.ops.pooling import averaging_matrix, window_counts, window_reach

ONE: np.ndarray = np.ones((), np.float32)


@dataclass(frozen=True)
class Layer:
    """Parameters of a convolution or linear layer: int8 weights, their scales (N,), int32 biases (N,)."""

    weight: np.ndarray
    scale: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class Sums:
    """int32 accumulators with the unit ``scale / count``, clipped to the real range `low` … `high` before requantization."""

    integers: np.ndarray
    scale: np.ndarray
    count: np.ndarray = field(default_factory=lambda: ONE)
    low: float = -np.inf
    high: float = np.inf

    def clipped(self, low: float, high: float) -> "Sums":
        """The accumulators after an activation that only clips, such as ReLU6."""
        return replace(self, low=low, high=high)

    def stored(self, fmt: ActivationFormat) -> np.ndarray:
        """The accumulators requantized to `fmt`."""
        return requantized(self.integers, self.scale, self.count, fmt, self.low, self.high)

    def real(self) -> np.ndarray:
        """The dequantized float32 values, for a result that is not quantized."""
        numbers: np.ndarray = self.integers.astype(np.float32) * (self.scale / self.count)
        return numbers


Steps = Sequence[np.ndarray]
"""The inputs of an operation as int32 steps from the zero point, with batch axis."""

Accumulate = Callable[[Node, Steps, np.ndarray], Sums]
"""(node, inputs in steps, product of the inputs' scales) -> accumulators."""

AccumulateLayer = Callable[[Node, np.ndarray, np.ndarray, Layer], Sums]
"""(node, input in steps, its scale, the layer's parameters) -> accumulators."""


def _convolution(node: Node, steps: np.ndarray, scale: np.ndarray, layer: Layer) -> Sums:
    padding, groups, size = node.pair("padding"), node.integer("groups"), (node.shape[1], node.shape[2])
    x, (outputs, per_group, *kernel) = padded(steps, padding, padding), layer.weight.shape
    weight = layer.weight.astype(np.int32).reshape(groups, outputs // groups, per_group, *kernel)
    total = np.zeros((len(x), groups, prod(size), outputs // groups), np.int32)
    for row, column, values in taps(x, (kernel[0], kernel[1]), node.pair("stride"), node.pair("dilation"), size):
        columns = values.reshape(len(x), groups, per_group, prod(size)).swapaxes(2, 3)
        total += np.ascontiguousarray(columns) @ weight[:, :, :, row, column].swapaxes(1, 2)
    sums = total.swapaxes(2, 3).reshape(len(x), outputs, *size)
    per_channel = (layer.scale * scale)[:, None, None]
    return Sums(sums + layer.bias[:, None, None], per_channel)


def _linear(node: Node, steps: np.ndarray, scale: np.ndarray, layer: Layer) -> Sums:
    return Sums(steps @ layer.weight.astype(np.int32).T + layer.bias, layer.scale * scale)


def _product(node: Node, inputs: Steps, scale: np.ndarray) -> Sums:
    return Sums(inputs[0] * inputs[1], scale)


def _total(node: Node, inputs: Steps, scale: np.ndarray) -> Sums:
    axes = tuple(axis + 1 for axis in node.ints("axes"))
    return Sums(inputs[0].sum(axes, dtype=np.int32, keepdims=node.flag("keepdim")), scale)


def _mean(node: Node, inputs: Steps, scale: np.ndarray) -> Sums:
    count = prod(inputs[0].shape[axis + 1] for axis in node.ints("axes"))
    return replace(_total(node, inputs, scale), count=np.asarray(count, np.float32))


def _average_pool(node: Node, inputs: Steps, scale: np.ndarray) -> Sums:
    shape, size = inputs[0].shape[1:], (node.shape[1], node.shape[2])
    x = padded(inputs[0], node.pair("padding"), window_reach(node, shape))
    windows = taps(x, node.pair("kernel"), node.pair("stride"), (1, 1), size)
    return Sums(
        reduce(np.add, (values for _, _, values in windows)), scale, window_counts(node, shape).astype(np.float32)
    )


def _adaptive_pool(node: Node, inputs: Steps, scale: np.ndarray) -> Sums:
    rows, columns = ((averaging_matrix(*pair) > 0).astype(np.int32) for pair in bins(node, inputs[0].shape))
    return Sums(rows @ inputs[0] @ columns.T, scale, np.outer(rows.sum(1), columns.sum(1)).astype(np.float32))


def bins(node: Node, shape: Sequence[int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """(size, number of bins) of an adaptive pooling of a value (N, C, H, W), for height and width."""
    rows, columns = node.pair("size")
    return (shape[2], rows), (shape[3], columns)


LAYERS: Mapping[str, AccumulateLayer] = MappingProxyType({"conv2d": _convolution, "linear": _linear})

ACCUMULATORS: Mapping[str, Accumulate] = MappingProxyType(
    {
        "mul": _product,
        "sum": _total,
        "mean": _mean,
        "avg_pool": _average_pool,
        "adaptive_avg_pool": _adaptive_pool,
    }
)

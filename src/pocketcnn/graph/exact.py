"""Exact integer arithmetic of a quantized network in torch, on any device; bit-identical to `pocketcnn.graph.integer`.

Integers are held in float32 where every possible sum is below 2^24: additions are then exact in any order. Elsewhere they
are held in float64, where that is true up to 2^53.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, prod
from types import MappingProxyType
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketcnn.graph.integer.arithmetic import step_bounds
from pocketcnn.graph.integer.lookup_tables import FUNCTIONS, table
from pocketcnn.graph.node import Node
from pocketcnn.graph.numerics import ActivationFormat
from pocketcnn.graph.ops.activation import CLIPS
from pocketcnn.graph.ops.pooling import averaging_matrix, window_counts

LAYERS = frozenset({"conv2d", "linear"})

EXACT_FLOAT32 = 2**24
"""All integers up to this magnitude are exact in float32."""

MOST_PARTS = 16
"""Largest number of float32 parts; with more, one computation in float64 is faster."""


class Exact(Protocol):
    """The exact result of a node with integer inputs, before requantization."""

    def stored(self, fmt: ActivationFormat) -> Tensor:
        """The dequantized values, float32, after quantization to `fmt`."""

    def real(self) -> Tensor:
        """The real values, float32, without quantization."""


@dataclass(frozen=True)
class Layer:
    """Integer parameters of a convolution or linear layer: weight, bias (N,) in float64, and weight scales (N,)."""

    weight: Tensor
    scale: Tensor
    bias: Tensor | None


@dataclass(frozen=True)
class Sums:
    """Integer accumulators with the unit ``scale / count``, clipped to the real range `low` … `high` before requantization."""

    integers: Tensor
    scale: Tensor
    count: Tensor
    low: float = -inf
    high: float = inf

    def clipped(self, low: float, high: float) -> "Sums":
        """The accumulators after an activation that only clips, such as ReLU6."""
        return replace(self, low=low, high=high)

    def stored(self, fmt: ActivationFormat) -> Tensor:
        scale = _scalar(fmt.scale, self.integers)
        low, high = step_bounds(fmt, self.low, self.high)
        exact = self.integers.float() * (self.scale / (scale * self.count))
        return exact.round_().clamp_(low, high).mul_(scale)

    def real(self) -> Tensor:
        return self.integers.float() * (self.scale / self.count)


@dataclass(frozen=True)
class TableLookup:
    """A function of one quantized value, as a lookup table."""

    values: Tensor
    """Function values for all integers of the input format, in increasing order."""
    indices: Tensor

    def stored(self, fmt: ActivationFormat) -> Tensor:
        scale = _scalar(fmt.scale, self.values)
        return replace(self, values=(self.values / scale).round_().clamp_(*step_bounds(fmt)).mul_(scale)).real()

    def real(self) -> Tensor:
        return self.values.index_select(0, self.indices.flatten()).reshape(self.indices.shape)


def exact_result(
    node: Node, inputs: Sequence[Tensor], formats: Sequence[ActivationFormat], layer: Layer | None
) -> Exact | None:
    """The exact result of `node` for quantized `inputs`, if it accumulates or is a lookup table.

    None where the float32 operation gives the same result: addition, data movement and clipping.
    """
    if layer is None and node.op not in _ACCUMULATORS:
        return _lookup(node, inputs[0], formats[0]) if node.op in FUNCTIONS and node.op not in CLIPS else None
    scale = _scalar(1, inputs[0])
    for fmt in formats:
        scale = scale * _scalar(fmt.scale, inputs[0])
    steps = list(map(_steps, inputs, formats))
    with torch.autocast(inputs[0].device.type, enabled=False):
        if layer is not None:
            return _layer_sums(node, _multiplication(node), steps[0], formats[0], scale, layer)
        return _ACCUMULATORS[node.op](node, steps, scale)


def _lookup(node: Node, x: Tensor, fmt: ActivationFormat) -> TableLookup:
    indices = (_steps(x, fmt) + (fmt.zero_point - fmt.low)).int()
    return TableLookup(torch.from_numpy(table(node, fmt)).to(x.device), indices)


def _steps(value: Tensor, fmt: ActivationFormat) -> Tensor:
    """A dequantized value in steps of its scale (q - zero point), as integers in float32."""
    return (value.float() / _scalar(fmt.scale, value)).round_()


def _scalar(value: float, like: Tensor) -> Tensor:
    return torch.full((), value, dtype=torch.float32, device=like.device)


Multiply = Callable[[Tensor, Tensor], Tensor]
"""(values, weights) -> sums of products."""


def _multiplication(node: Node) -> Multiply:
    """The multiplication of a convolution or linear layer, as a function of values and weights."""
    if node.op == "linear":
        return F.linear
    windows = (node.pair("stride"), node.pair("padding"), node.pair("dilation"), node.integer("groups"))
    return lambda steps, weight: F.conv2d(steps, weight, None, *windows)


def _layer_sums(
    node: Node, multiplied: Multiply, steps: Tensor, fmt: ActivationFormat, scale: Tensor, layer: Layer
) -> Sums:
    axes = (1,) * (steps.ndim - 2)
    reach = max(fmt.high - fmt.zero_point, fmt.zero_point - fmt.low)
    largest = _magnitude(layer.weight) * reach
    sums = _multiplied(multiplied, steps, layer.weight.float(), _parts(node, layer.weight, float(largest.max()), reach))
    if layer.bias is not None:
        fits = sums.dtype == torch.float32 and bool((largest + layer.bias.abs()).max() < EXACT_FLOAT32)
        sums = sums if fits else sums.double()
        sums = sums.add_(layer.bias.to(sums.dtype).reshape(-1, *axes))
    return Sums(sums, (layer.scale.float() * scale).reshape(-1, *axes), _scalar(1, steps))


def _magnitude(weight: Tensor) -> Tensor:
    """L1 norm of the weights of each output channel (N,)."""
    return weight.abs().flatten(1).sum(1)


def _parts(node: Node, weight: Tensor, largest: float, reach: int) -> int:
    """The number of parts into which the input channels are split so that each partial sum is exact in float32; 0 if too many.

    Args:
        node: a convolution or linear layer.
        weight: its integer weights.
        largest: the largest possible magnitude of an accumulator, for any input.
        reach: the largest magnitude of an input, in steps.
    """
    if largest < EXACT_FLOAT32:
        return 1
    most = 1 if node.op == "conv2d" and node.integer("groups") > 1 else min(MOST_PARTS, weight.shape[1])
    for parts in range(1 + int(largest / EXACT_FLOAT32), most + 1):
        pieces = torch.tensor_split(weight, parts, dim=1)
        if all(bool(_magnitude(piece).max() * reach < EXACT_FLOAT32) for piece in pieces):
            return parts
    return 0


def _multiplied(multiplied: Multiply, steps: Tensor, weight: Tensor, parts: int) -> Tensor:
    """Exact sums of products, accumulated in float64 from `parts` partial sums that are exact in float32.

    Some kernels use a transform (Winograd) instead of sums of products. Where that leaves fractions, float64 is used instead.
    """
    if parts:
        pairs = zip(*(torch.tensor_split(tensor, parts, dim=1) for tensor in (steps, weight)), strict=True)
        found = [multiplied(*pair) for pair in pairs]
        if weight[0, 0].numel() == 1 or all(bool((sums == sums.round()).all()) for sums in found):
            return found[0] if parts == 1 else sum((sums.double() for sums in found[1:]), found[0].double())
    return multiplied(steps.double(), weight.double()).round_()


def _product(node: Node, inputs: Sequence[Tensor], scale: Tensor) -> Sums:
    return Sums(inputs[0] * inputs[1], scale, _scalar(1, scale))


def _total(node: Node, inputs: Sequence[Tensor], scale: Tensor) -> Sums:
    axes = [axis + 1 for axis in node.ints("axes")]
    return Sums(inputs[0].sum(axes, node.flag("keepdim"), dtype=torch.float64), scale, _scalar(1, scale))


def _mean(node: Node, inputs: Sequence[Tensor], scale: Tensor) -> Sums:
    count = prod(inputs[0].shape[axis + 1] for axis in node.ints("axes"))
    return replace(_total(node, inputs, scale), count=_scalar(count, scale))


def _average_pool(node: Node, inputs: Sequence[Tensor], scale: Tensor) -> Sums:
    kernel, stride, padding = (node.pair(name) for name in ("kernel", "stride", "padding"))
    total = F.avg_pool2d(inputs[0].double(), kernel, stride, padding, node.flag("ceil"), divisor_override=1)
    count = torch.from_numpy(window_counts(node, tuple(inputs[0].shape[1:]))).to(scale)
    return Sums(total, scale, count)


def _adaptive_pool(node: Node, inputs: Sequence[Tensor], scale: Tensor) -> Sums:
    sizes = zip(inputs[0].shape[2:], node.pair("size"), strict=True)
    rows, columns = (torch.from_numpy(averaging_matrix(*pair) > 0).to(scale.device).double() for pair in sizes)
    return Sums(rows @ inputs[0].double() @ columns.T, scale, torch.outer(rows.sum(1), columns.sum(1)).float())


_ACCUMULATORS: Mapping[str, Callable[[Node, Sequence[Tensor], Tensor], Sums]] = MappingProxyType(
    {
        "mul": _product,
        "sum": _total,
        "mean": _mean,
        "avg_pool": _average_pool,
        "adaptive_avg_pool": _adaptive_pool,
    }
)

"""A linear function of one value as a convolution, and the sum of two of them as one convolution.

This is the arithmetic of structural re-parameterization ("RepVGG: Making VGG-style ConvNets Great Again", Ding et al., CVPR
2021, section 3.3), for kernels of any size, stride, dilation and groups. Weights are computed in double precision.
"""

from dataclasses import dataclass, replace
from math import gcd, prod

import torch
from torch import Tensor

from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Attr, Node, Shape
from pocketcnn.graph.ops.convolution import window_output

Pair = tuple[int, int]


@dataclass(frozen=True)
class Branch:
    """conv(x) + bias for the value `source`.

    Attributes:
        source: the value that is read.
        weight: (N, C/groups, Kh, Kw), in double precision.
        bias: (N,), in double precision.
        stride, padding, dilation, groups: of the convolution.
        madds: multiply-adds of the operations that it stands for, for one image.
        origin: the convolution with the largest weight among them; None for the identity alone.
        merged: whether it stands for a sum of several branches.
    """

    source: str
    weight: Tensor
    bias: Tensor
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int
    madds: int
    origin: Node | None = None
    merged: bool = False

    @property
    def attrs(self) -> dict[str, Attr]:
        """The attributes of its convolution."""
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }

    def scaled(self, scale: Tensor, offset: Tensor) -> "Branch":
        """scale · branch + offset, both (N,) or (1,)."""
        if self.weight.is_meta:
            return self
        return replace(self, weight=self.weight * scale.reshape(-1, 1, 1, 1), bias=self.bias * scale + offset)


def identity(name: str, channels: int, device: torch.device) -> Branch:
    """The value itself: a depthwise convolution with kernels of one pixel, 1."""
    weight = torch.ones(channels, 1, 1, 1, dtype=torch.float64, device=device)
    zero = torch.zeros(channels, dtype=torch.float64, device=device)
    return Branch(name, weight, zero, (1, 1), (0, 0), (1, 1), channels, 0)


def convolution(graph: Graph, node: Node) -> Branch:
    """A convolution of the graph."""
    weight = graph.tensors[node.tensors["weight"]]
    bias = graph.tensors[node.tensors["bias"]] if "bias" in node.tensors else weight.new_zeros(weight.shape[0])
    return Branch(
        node.inputs[0],
        weight if weight.is_meta else weight.double(),
        bias if bias.is_meta else bias.double(),
        node.pair("stride"),
        node.pair("padding"),
        node.pair("dilation"),
        node.integer("groups"),
        graph.madds(node),
        node,
    )


def total(first: Branch, second: Branch, source: Shape, result: Shape) -> Branch | None:
    """first + second as one branch; None if there is no such convolution, or if it takes more multiply-adds than both.

    Args:
        first, second: branches of one value.
        source: its shape, (C, H, W).
        result: the shape of the sum, (N, H', W').
    """
    if first.source != second.source or first.stride != second.stride:
        return None
    groups = gcd(first.groups, second.groups)
    windows = [_window((first, second), axis) for axis in (0, 1)]
    (padding, dilation, kernel) = ((windows[0][part], windows[1][part]) for part in range(3))
    sizes = zip(source[1:], kernel, first.stride, padding, dilation, strict=True)
    shape = (result[0], source[0] // groups, *kernel)
    madds = prod(shape) * prod(result[1:])
    if tuple(window_output(*size) for size in sizes) != result[1:] or madds > first.madds + second.madds:
        return None
    larger = max(first, second, key=lambda branch: (branch.origin is not None, branch.weight.numel()))
    whole = replace(
        larger, padding=padding, dilation=dilation, groups=groups, madds=first.madds + second.madds, merged=True
    )
    if first.weight.is_meta:
        return replace(whole, weight=first.weight.new_empty(shape))
    weight = _placed(first, whole, shape) + _placed(second, whole, shape)
    return replace(whole, weight=weight, bias=first.bias + second.bias)


def _window(branches: tuple[Branch, Branch], axis: int) -> tuple[int, int, int]:
    """Padding, dilation and kernel size along `axis` of the smallest window with all pixels that the branches read."""
    offsets = [
        branch.dilation[axis] * tap - branch.padding[axis]
        for branch in branches
        for tap in range(branch.weight.shape[2 + axis])
    ]
    first, last = min(offsets), max(offsets)
    step = gcd(*(offset - first for offset in offsets)) or 1
    return -first, step, (last - first) // step + 1


def _placed(branch: Branch, whole: Branch, shape: Shape) -> Tensor:
    """The weight of `branch` in the window and the groups of `whole`, with zeros elsewhere."""
    weight = _regrouped(branch.weight, branch.groups, whole.groups)
    places = [
        (torch.arange(weight.shape[2 + axis]) * branch.dilation[axis] - branch.padding[axis] + whole.padding[axis])
        // whole.dilation[axis]
        for axis in (0, 1)
    ]
    result = weight.new_zeros(shape)
    result[:, :, places[0][:, None], places[1][None, :]] = weight
    return result


def _regrouped(weight: Tensor, groups: int, fewer: int) -> Tensor:
    """A weight (N, C/groups, …) for `fewer` groups, a divisor of `groups`: (N, C/fewer, …), zero between former groups."""
    if groups == fewer:
        return weight
    each = groups // fewer
    outputs, inputs, *kernel = weight.shape
    blocks = weight.reshape(fewer, each, outputs // groups, inputs, *kernel)
    result = weight.new_zeros(fewer, each, outputs // groups, each, inputs, *kernel)
    index = torch.arange(each)
    result[:, index, :, index] = blocks.movedim(1, 0)
    return result.reshape(outputs, inputs * each, *kernel)

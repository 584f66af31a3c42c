"""Convolution and linear layers in ncnn, in float and int8."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketcnn.formats.ncnn.activation import fused_params
from pocketcnn.formats.ncnn.emitter import Emitter, OperatorEmitter, blob_shape
from pocketcnn.formats.ncnn.int8 import HIGH, Int8, in_groups, int8_params
from pocketcnn.formats.ncnn.layer import Blob, Param, tagged, untagged
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node
from pocketcnn.layers.shift import shift_kernel

Array = npt.NDArray[Any]

WITHOUT_WINOGRAD = {31: 1 << 6}
"""Id of the parameter that disables an optimization for one layer."""

WINOGRAD_FACTOR = 24 * 24
"""Factor by which ncnn's int8 Winograd F(4, 3) scales its int32 accumulators before the final division."""


@dataclass(frozen=True, slots=True)
class _Window:
    """Parameters of a convolution: weight (N, C/G, K, K), bias (N,) or None, stride, padding, dilation, groups."""

    weight: Array
    bias: Array | None
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, int]
    groups: int

    def params(self) -> dict[int, Param]:
        (down, right), (rows, columns) = self.stride, self.weight.shape[2:]
        top, left = self.padding
        given: dict[int, Param] = {
            **{0: self.weight.shape[0], 1: columns, 11: rows, 2: self.dilation[1], 12: self.dilation[0]},
            **{3: right, 13: down, 4: left, 14: top},
            **{5: int(self.bias is not None), 6: self.weight.size},
        }
        return given if self.groups == 1 else {**given, 7: self.groups}


def _conv2d(node: Node, emit: Emitter) -> str:
    int8 = int8_params(emit.graph, node, emit.fused)
    weight = emit.array("weight") if int8 is None else int8.weight
    bias = emit.array("bias") if "bias" in node.tensors else None
    if tap := _single_tap(node, emit):
        return _inner_product(emit, weight[:, :, tap[0], tap[1]], bias, int8)
    top, left = node.pair("padding")
    window = _Window(weight, bias, node.pair("stride"), node.pair("dilation"), (top, left), node.integer("groups"))
    if int8 is not None and in_groups(emit.graph, node):
        return emit.as_blob(_in_groups(emit, emit.full_rank(), window, int8))
    return emit.as_blob(_convolution(emit, emit.full_rank(), window, int8))


def _single_tap(node: Node, emit: Emitter) -> tuple[int, int] | None:
    """For a convolution from (C, 1, 1) to (N, 1, 1), which equals a linear layer: the kernel position of the only pixel."""
    shape = emit.shape()
    if node.integer("groups") != 1 or blob_shape(shape) == shape or blob_shape(node.shape) == node.shape:
        return None
    (rows, columns), dilation, padding = _kernel(emit.graph, node), node.pair("dilation"), node.pair("padding")
    row, column = (pad // step for pad, step in zip(padding, dilation, strict=True))
    seen = (row * dilation[0], column * dilation[1]) == padding and row < rows and column < columns
    return (row, column) if seen else None


def _kernel(graph: Graph, node: Node) -> tuple[int, int]:
    rows, columns = graph.tensor_shapes(node)["weight"][2:]
    return rows, columns


def _convolution(emit: Emitter, source: str, window: _Window, int8: Int8 | None, name: str = "") -> str:
    type = "Convolution" if window.groups == 1 else "ConvolutionDepthWise"
    params = {**window.params(), **fused_params(emit.fused.get(emit.node.name))}
    weights = _weights(window.weight, window.bias)
    if int8 is not None:
        params |= {8: int8.scale_term, **_winograd(window)}
        weights += int8.scale_blobs()
    return emit.layer(type, source, params=params, weights=weights, name=name)


def _in_groups(emit: Emitter, source: str, window: _Window, int8: Int8) -> str:
    """A grouped convolution as one layer per group, on slices of the channels."""
    groups = window.groups
    inputs, outputs = emit.shape()[0] // groups, len(window.weight) // groups
    parts = emit.layers(
        "Slice", source, params={0: [inputs] * groups, 1: 0}, outputs=groups, name=f"{emit.node.name}/cut"
    )
    group_outputs = []
    for group, part in enumerate(parts):
        own = slice(group * outputs, (group + 1) * outputs)
        bias = None if window.bias is None else window.bias[own]
        small = replace(window, weight=window.weight[own], bias=bias, groups=1)
        scales = replace(int8, weight_scales=int8.weight_scales[own])
        group_outputs.append(_convolution(emit, part, small, scales, f"{emit.node.name}/group{group}"))
    return emit.layer("Concat", *group_outputs, params={0: 0})


def _winograd(window: _Window) -> dict[int, int]:
    """The parameter that disables the Winograd algorithm if its accumulators could overflow int32."""
    used = window.weight.shape[2:] == (3, 3) and window.stride == window.dilation == (1, 1) and window.groups == 1
    largest = HIGH * int(np.abs(window.weight.astype(np.int64)).sum(axis=(1, 2, 3)).max())
    return WITHOUT_WINOGRAD if used and WINOGRAD_FACTOR * largest >= 2**31 else {}


def _weights(weight: Array, bias: Array | None) -> tuple[Blob, ...]:
    return (tagged(weight),) if bias is None else (tagged(weight), untagged(bias))


def _linear(node: Node, emit: Emitter) -> str:
    int8 = int8_params(emit.graph, node, emit.fused)
    weight = emit.array("weight") if int8 is None else int8.weight
    return _inner_product(emit, weight, emit.array("bias") if "bias" in node.tensors else None, int8)


def _inner_product(emit: Emitter, weight: Array, bias: Array | None, int8: Int8 | None) -> str:
    params: dict[int, Param] = {0: weight.shape[0], 1: int(bias is not None), 2: weight.size}
    weights = _weights(weight, bias)
    if int8 is not None:
        params[8] = int8.scale_term
        weights += int8.scale_blobs()
    fused = fused_params(emit.fused.get(emit.node.name))
    return emit.layer("InnerProduct", emit.inputs[0], params={**params, **fused}, weights=weights)


def _shift(node: Node, emit: Emitter) -> str:
    """ncnn has no shift; it becomes a depthwise convolution whose kernels contain a single 1."""
    kernel = shift_kernel(node.ints("down"), node.ints("right")).numpy()
    top, left = kernel.shape[2] // 2, kernel.shape[3] // 2
    window = _Window(kernel, None, (1, 1), (1, 1), (top, left), node.shape[0])
    return emit.as_blob(_convolution(emit, emit.full_rank(), window, None))


CONVOLUTION: dict[str, OperatorEmitter] = {"conv2d": _conv2d, "linear": _linear, "shift": _shift}

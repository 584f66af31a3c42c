"""Conversion of the graph's quantization to ncnn's int8 scheme.

ncnn quantizes activations to symmetric int8, ``q = round(r · scale)`` from -127 to 127, and weights to int8 with one scale per
output channel; its scales are the reciprocals of the usual ones (steps per unit). The integers of the weights are unchanged.
An affine uint8 activation gets the symmetric scale of the same range, so one without negative values keeps half of its
quantization steps. Convolutions and linear layers compute in integers, all other layers in float. A convolution that is read
only by int8 convolutions passes integers to them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pocketcnn.formats.ncnn.emitter import blob_shape
from pocketcnn.formats.ncnn.layer import Blob, untagged
from pocketcnn.graph.fake_quantize import quantize_weight
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node
from pocketcnn.graph.numerics import ActivationFormat

HIGH = 127
FLOAT_OUTPUT, INT8_OUTPUT = 1, 101
"""Values of ncnn's parameter int8_scale_term."""


@dataclass(frozen=True, slots=True)
class Int8:
    """Parameters of an int8 layer; scales are in steps per unit, `output_scale` is None for a float result."""

    weight: npt.NDArray[np.int8]
    weight_scales: npt.NDArray[np.float64]
    input_scale: float
    output_scale: float | None = None

    @property
    def scale_term(self) -> int:
        return FLOAT_OUTPUT if self.output_scale is None else INT8_OUTPUT

    def scale_blobs(self) -> tuple[Blob, ...]:
        """The blobs of the scales, which follow weight and bias."""
        of_output = () if self.output_scale is None else (untagged([self.output_scale]),)
        return (untagged(self.weight_scales), untagged([self.input_scale]), *of_output)


def symmetric_scale(fmt: ActivationFormat) -> float:
    """The scale, in steps per unit, with which -127 … 127 covers the range of an affine format; exact if it is symmetric."""
    if fmt.signed and fmt.zero_point == 0 and fmt.bits == 8:
        return 1 / fmt.scale
    return HIGH / (fmt.scale * max(fmt.zero_point - fmt.low, fmt.high - fmt.zero_point))


def is_int8(graph: Graph, node: Node) -> bool:
    """Whether ncnn computes `node` in integers."""
    weight = graph.numerics.weights.get(node.tensors.get("weight", ""))
    return node.op in ("conv2d", "linear") and weight is not None and node.inputs[0] in graph.numerics.activations


def int8_params(graph: Graph, node: Node, fused: Mapping[str, Node]) -> Int8 | None:
    """Integer weights and scales of `node`, or None if it computes in float."""
    if not is_int8(graph, node):
        return None
    name = node.tensors["weight"]
    fmt = graph.numerics.weights[name]
    steps = graph.tensors[fmt.scale].detach()
    integers = quantize_weight(graph.tensors[name].detach(), steps, fmt)
    end = fused.get(node.name, node)
    return Int8(
        weight=integers.cpu().numpy().astype(np.int8),
        weight_scales=1 / steps.double().cpu().numpy(),
        input_scale=symmetric_scale(graph.numerics.activations[node.inputs[0]]),
        output_scale=symmetric_scale(graph.numerics.activations[end.name]) if hands_on(graph, node, end) else None,
    )


def hands_on(graph: Graph, node: Node, end: Node) -> bool:
    """Whether `end`, the value of the int8 layer `node`, is read only by int8 convolutions, so that it can stay int8."""
    readers = graph.users(end.name)
    if not readers or end.name == graph.output or end.name not in graph.numerics.activations:
        return False
    return _is_one_layer(graph, node) and all(is_int8(graph, user) and _is_one_layer(graph, user) for user in readers)


def _is_one_layer(graph: Graph, node: Node) -> bool:
    """Whether an int8 `node` becomes exactly one ncnn convolution between feature maps."""
    shapes = (node.shape, *graph.input_shapes(node))
    return node.op == "conv2d" and all(blob_shape(shape) == shape for shape in shapes) and not in_groups(graph, node)


def in_groups(graph: Graph, node: Node) -> bool:
    """Whether `node` is a grouped convolution that is not depthwise.

    In int8 each group is exported as a separate layer. As one layer, ncnn has a single weight scale per group, and on x86 it
    does not write the result if 8 divides a group's output channels (version 1.0.20261020).
    """
    return node.op == "conv2d" and node.integer("groups") > 1 and not is_depthwise(graph, node)


def is_depthwise(graph: Graph, node: Node) -> bool:
    """Whether `node` is a depthwise convolution with one output channel per input channel."""
    return node.integer("groups") == node.shape[0] == graph.input_shapes(node)[0][0]

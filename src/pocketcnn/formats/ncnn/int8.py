"""The library's integers in ncnn's int8 scheme.

ncnn stores activations in symmetric int8, ``q = round(r · scale)`` from -127 to 127, and weights in int8 with a scale for each
output channel; its scales are steps per unit. The weights' integers are taken over as they are. A value in affine uint8
gets the symmetric scale of the same range, so one without negative numbers keeps half of its steps. Convolutions and
linear layers compute in integers; all others work on floats. A convolution whose readers are all such convolutions
hands them integers.
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
"""Values of the parameter int8_scale_term."""


@dataclass(frozen=True, slots=True)
class Int8:
    """What an int8 layer is written with; all scales are steps per unit, `output_scale` None for a float result."""

    weight: npt.NDArray[np.int8]
    weight_scales: npt.NDArray[np.float64]
    input_scale: float
    output_scale: float | None = None

    @property
    def scale_term(self) -> int:
        return FLOAT_OUTPUT if self.output_scale is None else INT8_OUTPUT

    def scale_blobs(self) -> tuple[Blob, ...]:
        """The scales, which follow weight and bias."""
        of_output = () if self.output_scale is None else (untagged([self.output_scale]),)
        return (untagged(self.weight_scales), untagged([self.input_scale]), *of_output)


def symmetric_scale(fmt: ActivationFormat) -> float:
    """Steps per unit with which -127 … 127 covers the range of an affine format; its own where it is symmetric, too."""
    if fmt.signed and fmt.zero_point == 0 and fmt.bits == 8:
        return 1 / fmt.scale
    return HIGH / (fmt.scale * max(fmt.zero_point - fmt.low, fmt.high - fmt.zero_point))


def is_int8(graph: Graph, node: Node) -> bool:
    """Whether ncnn computes `node` in integers."""
    weight = graph.numerics.weights.get(node.tensors.get("weight", ""))
    return node.op in ("conv2d", "linear") and weight is not None and node.inputs[0] in graph.numerics.activations


def int8_params(graph: Graph, node: Node, fused: Mapping[str, Node]) -> Int8 | None:
    """Integers and scales of `node`, or None if it computes in float."""
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
        output_scale=symmetric_scale(graph.numerics.activations[end.name]) if _hands_on(graph, node, end) else None,
    )


def _hands_on(graph: Graph, node: Node, end: Node) -> bool:
    """Whether `end`, the value of the int8 layer `node`, goes as integers to int8 convolutions and nowhere else."""
    readers = graph.users(end.name)
    if not readers or end.name == graph.output or end.name not in graph.numerics.activations:
        return False
    return _is_one_layer(graph, node) and all(is_int8(graph, user) and _is_one_layer(graph, user) for user in readers)


def _is_one_layer(graph: Graph, node: Node) -> bool:
    """Whether an int8 `node` is one convolution of ncnn, from a map to a map."""
    shapes = (node.shape, *graph.input_shapes(node))
    return node.op == "conv2d" and all(blob_shape(shape) == shape for shape in shapes) and not in_groups(graph, node)


def in_groups(graph: Graph, node: Node) -> bool:
    """Whether `node` is a convolution in groups, but not depthwise.

    In int8 each group is a layer of its own: as one layer ncnn has a single weight scale a group, and on x86 leaves the
    result unwritten where 8 divides a group's output channels (1.0.20261020).
    """
    return node.op == "conv2d" and node.integer("groups") > 1 and not is_depthwise(graph, node)


def is_depthwise(graph: Graph, node: Node) -> bool:
    """Whether each input channel has one kernel and gives one output channel."""
    return node.integer("groups") == node.shape[0] == graph.input_shapes(node)[0][0]

"""Export of a `Graph` to ONNX: int8 in QDQ form if the graph is quantized, else float32."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
import onnx
from torch import Tensor

from pocketcnn.errors import UsageError
from pocketcnn.files import write_bytes
from pocketcnn.formats.onnx.builder import OnnxBuilder
from pocketcnn.formats.onnx.constants import narrow_constant
from pocketcnn.formats.onnx.functions import with_functions
from pocketcnn.formats.onnx.names import shorten
from pocketcnn.formats.onnx.qdq import Qdq, implied_by_saturation, is_absorbed, with_separate_means
from pocketcnn.graph.fake_quantize import fake_quantize_weight
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.names import numbered
from pocketcnn.graph.node import Node, Shape
from pocketcnn.graph.numerics import ActivationFormat
from pocketcnn.graph.ops import OPS
from pocketcnn.graph.ops.activation import clip_bounds
from pocketcnn.graph.passes.fold import for_inference

INPUT_NAME = "input"
OUTPUT_NAME = "output"

Names = Literal["short", "full"]

Weights = Literal["uint8", "int8"]
"""Storage of 8-bit weights: as uint8 with the zero point 128, or as int8 with the zero point 0. The values are the same."""

_HIGHEST_EXACT = 63
"""Magnitude of int8 weights up to which two products with uint8 and their sum fit int16 (255 * 63 * 2)."""

_DATA_MOVEMENT = frozenset(op.name for op in OPS.values() if op.data_movement) - {"shift"}
"""Data movement that ONNX operators do on integers directly. A shift is excluded, since it becomes a convolution."""


def write_onnx(
    path: Path, graph: Graph, *, names: Names = "short", metadata: Mapping[str, str] = MappingProxyType({})
) -> int:
    """Write the model of `to_onnx` to `path` atomically and return its size in bytes.

    Raises:
        PocketcnnError: the disk is full or the folder cannot be written to.
    """
    data: bytes = to_onnx(graph, names=names, metadata=metadata).SerializeToString(deterministic=True)
    write_bytes(path, data)
    return len(data)


def to_onnx(
    graph: Graph,
    *,
    names: Names = "short",
    weights: Weights | None = None,
    outputs: Sequence[str] = (),
    metadata: Mapping[str, str] = MappingProxyType({}),
) -> onnx.ModelProto:
    """Export the network at inference as an ONNX model (opset 17) with input ``input`` (N, C, H, W), output ``output``, N free.

    Dropout is removed and batch normalization folded first, except in a quantized graph, whose formats belong to its
    present operations.

    Args:
        graph: the network; if it is quantized, activations and weights are stored in their formats.
        names: "short" gives the smallest file: names of one or two letters, repeated groups of operators as model-local
            functions, constants in the narrowest exact dtype. "full" keeps the graph's names and uses plain operators
            only, for inspection and for converters without support for functions.
        weights: "uint8" for ONNX Runtime: without VNNI, its kernels on x86 add pairs of uint8 x int8 products in int16 with
            saturation, while uint8 x uint8 is exact on every processor. "int8" for OpenVINO and converters, which expect
            symmetric weights. Default: uint8 for short names, int8 for full ones. Weights of at most 7 bits, which cannot
            saturate, and weights of layers with int8 inputs are int8 in any case.
        outputs: nodes, of the graph after folding, whose values become additional outputs, in this order, with the
            nodes' names (with a number if a name is in use).
        metadata: entries of the model's metadata_props.

    Raises:
        UsageError: `outputs` names a node that the graph does not have.
    """
    writer = _writer(graph, names, weights)
    graph = writer.graph
    for name in outputs:
        if name not in graph:
            raise UsageError(f"The graph has no node {name!r} after folding, so it cannot be an output.")
    exposed = {OUTPUT_NAME: graph.output}
    for name in outputs:
        exposed[next(free for free in numbered(name) if free not in (INPUT_NAME, *exposed))] = name
    model = writer.builder.model({name: (writer.value(node), graph[node].shape) for name, node in exposed.items()})
    if names == "short":
        for node in model.graph.node:
            node.ClearField("name")
        shorten(model.graph)
        with_functions(model)
        shorten(model.graph)
    onnx.helper.set_model_props(model, dict(metadata))
    return model


def constant_names(graph: Graph, *, names: Names = "short", weights: Weights | None = None) -> Mapping[bytes, str]:
    """The contents of the constants that `to_onnx` writes, each with its name, which begins with that of a tensor or a node."""
    return _writer(graph, names, weights).builder.constant_names()


def _writer(graph: Graph, names: Names, weights: Weights | None) -> "_GraphWriter":
    graph = with_separate_means(graph) if graph.numerics else for_inference(graph)
    stored: Weights = weights or ("uint8" if names == "short" else "int8")
    return _GraphWriter(graph, narrow=names == "short", unsigned=stored == "uint8")


class _GraphWriter:
    """Emits every node of a graph."""

    def __init__(self, graph: Graph, *, narrow: bool, unsigned: bool) -> None:
        self.graph = graph
        self._unsigned = unsigned
        self.builder = OnnxBuilder(INPUT_NAME, graph.input_shape)
        self.constant = partial(narrow_constant, self.builder) if narrow else self.builder.constant
        self._narrow = narrow
        self.qdq = Qdq(self.builder, self.constant)
        self._formats = graph.numerics.activations
        self._written: dict[str, str] = {}
        """Node name -> the name of its ONNX value, quantized if the node has a format."""
        for node in graph.nodes:
            self._written[node.name] = self._write(node, self._formats.get(node.name))

    def value(self, name: str) -> str:
        """The ONNX name of a node's (dequantized) value."""
        fmt, written = self._formats.get(name), self._written[name]
        return written if fmt is None else self.qdq.dequantized(written, fmt, f"{name}/dequantized")

    def _write(self, node: Node, fmt: ActivationFormat | None) -> str:
        if fmt is None:
            return self._computed(node)
        if node.op in _DATA_MOVEMENT and all(self._formats.get(name) == fmt for name in node.inputs):
            integers = [self._written[name] for name in node.inputs]
            return OPS[node.op].onnx(node, _NodeEmitter(self, node, integers, fmt))
        value = self._restored(node) if implied_by_saturation(node, fmt) else self._computed(node)
        return self.qdq.quantized(value, fmt, node.name)

    def _restored(self, node: Node) -> str:
        """The input of a clip that the saturation of its format implies.

        A clip after a quantized concatenation is written all the same if names are "full": OpenVINO 2026.4 crashes if its
        integers are requantized directly, or with a ReLU in between.
        """
        source = self.graph[node.inputs[0]]
        value = self.value(source.name)
        if self._narrow or source.op != "concat" or source.name not in self._formats:
            return value
        bounds = [self.builder.constant(np.asarray(bound, np.float32), "bound") for bound in clip_bounds(node)]
        return self.builder.op("Clip", [value, *bounds], {}, f"{node.name}/clipped")

    def _computed(self, node: Node) -> str:
        if node.op == "input":
            return INPUT_NAME
        return OPS[node.op].onnx(node, _NodeEmitter(self, node, [self.value(name) for name in node.inputs]))

    def tensor(self, node: Node, role: str) -> str:
        """The ONNX value of a tensor of `node`, dequantized if it is quantized; "" if the node has no such tensor."""
        name = node.tensors.get(role)
        if name is None:
            return ""
        if (weight := self.graph.numerics.weights.get(name)) is not None:
            scale, zeros = self.graph.tensors[weight.scale], not self._is_unsigned_convolution(node)
            source = self._formats.get(node.inputs[0])
            unsigned = self._unsigned and weight.high > _HIGHEST_EXACT and not (source is not None and source.signed)
            return self.qdq.weight(self.graph.tensors[name], scale, weight, name, zero_points=zeros, unsigned=unsigned)
        if role == "bias" and (scales := self._bias_scales(node)) is not None:
            as_integers = node.op == "linear" and not self._is_integer(node)
            return self.qdq.bias(self.graph.tensors[name], *scales, name, as_integers=as_integers)
        return self.builder.constant(self.array(node, role), name)

    def array(self, node: Node, role: str) -> np.ndarray:
        """The values of a tensor of `node`; quantized weights are dequantized."""
        name = node.tensors[role]
        tensor, fmt = self.graph.tensors[name], self.graph.numerics.weights.get(name)
        return _array(tensor if fmt is None else fake_quantize_weight(tensor, self.graph.tensors[fmt.scale], fmt))

    def _bias_scales(self, node: Node) -> tuple[float, Tensor] | None:
        """Scales of the input and the weight if both are quantized, so that the bias is int32."""
        weight = self.graph.numerics.weights.get(node.tensors.get("weight", ""))
        source = self._formats.get(node.inputs[0])
        return None if weight is None or source is None else (source.scale, self.graph.tensors[weight.scale])

    def _is_integer(self, node: Node) -> bool:
        """Whether input and output of `node` are quantized, so that runtimes fuse it to an integer operator."""
        stored = node.name in self._formats or is_absorbed(self.graph, node)
        return node.inputs[0] in self._formats and stored

    def _is_unsigned_convolution(self, node: Node) -> bool:
        """Whether `node` is an integer convolution of uint8, which ONNX Runtime fuses without explicit zero points."""
        return node.op == "conv2d" and self._is_integer(node) and not self._formats[node.inputs[0]].signed


@dataclass(frozen=True)
class _NodeEmitter:
    """The `OnnxEmitter` for one node; its inputs are integers of the format `stored`, if that is given."""

    writer: _GraphWriter
    node: Node
    inputs: Sequence[str]
    stored: ActivationFormat | None = None

    @property
    def shapes(self) -> Sequence[Shape]:
        return self.writer.graph.input_shapes(self.node)

    def op(self, op_type: str, *inputs: str, **attributes: object) -> str:
        return self.writer.builder.op(op_type, inputs, attributes, self.node.name)

    def constant(self, value: np.ndarray | np.generic) -> str:
        return self.writer.constant(np.asarray(value), f"{self.node.name}/constant")

    def number(self, value: float) -> str:
        if self.stored is None:
            return self.constant(np.asarray(value, np.float32))
        return self.writer.qdq.number(value, self.stored)

    def integer_weight(self, value: np.ndarray) -> str:
        if self.node.name in self.writer.graph.numerics.activations:
            return self.writer.qdq.integer_weight(value, f"{self.node.name}/weight")
        return self.constant(value)

    def tensors(self, *roles: str) -> list[str]:
        names = [self.writer.tensor(self.node, role) for role in roles]
        while names and not names[-1]:
            names.pop()
        return names

    def array(self, role: str) -> np.ndarray:
        return self.writer.array(self.node, role)


def _array(tensor: Tensor) -> np.ndarray:
    """The values as float32 (any float) or int64 (any integer), which ONNX Runtime supports for all operators."""
    converted = tensor.detach().float() if tensor.is_floating_point() else tensor.detach().long()
    return converted.cpu().contiguous().numpy()

"""Export of a `Graph` to TensorFlow Lite: int8 if the graph is quantized, else float32."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from pocketcnn.errors import PocketcnnError
from pocketcnn.files import write_bytes
from pocketcnn.formats.tflite.builder import TfliteBuilder
from pocketcnn.formats.tflite.emitter import Emitter, IntegerSupport, OperatorEmitter, StoredWeight, rescaled
from pocketcnn.formats.tflite.emitters import EMITTERS
from pocketcnn.formats.tflite.emitters.activation import clamped
from pocketcnn.formats.tflite.layout import is_one_line, stored_shape
from pocketcnn.formats.tflite.values import INT8_HIGH, Quantization, Value, as_int8
from pocketcnn.graph.fake_quantize import fake_quantize_bias, fake_quantize_weight, quantize_weight
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node
from pocketcnn.graph.ops import OPS
from pocketcnn.graph.ops.activation import CLIPS, clip_bounds
from pocketcnn.graph.passes.fold import for_inference

INPUT_NAME = "input"
OUTPUT_NAME = "output"

LAYOUT = "NHWC"
"""Layout of the images, as usual for TensorFlow Lite: channels last."""


def to_tflite(graph: Graph, *, metadata: Mapping[str, str] | None = None) -> bytes:
    """Export `graph` to the bytes of a .tflite file.

    The file has one float32 input (N, H, W, C) and one float32 output, (N, classes) for a classifier. N is 1 until the
    input is resized; the metadata have the layout of the axes (``layout``). Batch normalization is folded first.
    Quantized values are int8 with the scales of the graph; the zero points are 128 lower than those of its uint8.

    Raises:
        MissingExtra: LiteRT, whose wheel has the schema, is not installed.
        PocketcnnError: an operation cannot be exported to TensorFlow Lite; the message names the layer.
    """
    graph = graph if graph.numerics else for_inference(graph)
    writer = _Writer(graph)
    output = writer.as_float(writer.values[graph.output])
    return writer.builder.finish(INPUT_NAME, OUTPUT_NAME, output, {"layout": LAYOUT, **(metadata or {})})


def write_tflite(path: Path, graph: Graph, *, metadata: Mapping[str, str] | None = None) -> None:
    """Write `graph` as a .tflite file, see `to_tflite`."""
    write_bytes(path, to_tflite(graph, metadata=metadata))


class _Writer:
    """Writes all nodes; `values` maps a node to its tensor, int8 if the value is quantized."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.builder = TfliteBuilder()
        self.values: dict[str, Value] = {}
        self._formats = graph.numerics.activations
        for node in graph.nodes:
            if node.name not in self.values:
                self._write(node)

    def as_float(self, value: Value) -> Value:
        """The tensor, dequantized if it is int8."""
        if value.quantization is None:
            return value
        return self.builder.op("DEQUANTIZE", [value], value.shape, None, {}, "dequantized")

    def _write(self, node: Node) -> None:
        rule = EMITTERS.get(node.op)
        if node.op == "input":
            value = self.builder.input(INPUT_NAME, stored_shape(node.shape))
            self.values[node.name] = self._stored(value, node.name, self._quantization(node))
            return
        if rule is None:
            raise PocketcnnError(
                f"The layer {node.name!r} ({node.op}) cannot be exported to TensorFlow Lite. Replace it, or export to onnx."
            )
        last = self._absorbed(node, rule) or node
        result = self._quantization(last)
        value = self._computed(node, rule, last, result)
        moved = rule.integers is IntegerSupport.PRESERVES and value.quantization == result
        self.values[last.name] = value if moved else self._stored(value, last.name, result)

    def _computed(self, node: Node, rule: OperatorEmitter, last: Node, result: Quantization | None) -> Value:
        """The value of `node` and of the fused clip `last` (if that is another node), before quantization to `result`."""
        inputs = [self.values[name] for name in node.inputs]
        emitter = self._emitter(node, last, inputs, result)
        if not self._stays_integer(rule, emitter):
            emitter = self._emitter(node, last, [self.as_float(value) for value in inputs], None)
        value = rule.emit(emitter)
        if last is node or emitter.activation != "NONE":
            return value
        return clamped(emitter, value, *clip_bounds(last))

    def _stays_integer(self, rule: OperatorEmitter, emitter: Emitter) -> bool:
        """Whether the operation's integer kernels support the formats of its inputs and its result."""
        if not emitter.is_integer or rule.integers is IntegerSupport.NONE:
            return False
        return (rule.integers is IntegerSupport.PRESERVES or emitter.result is not None) and rule.accepts(emitter)

    def _stored(self, value: Value, name: str, result: Quantization | None) -> Value:
        """`value` quantized or requantized to `result`; formats of fewer than 8 bits are clamped explicitly."""
        if result is None:
            return value
        if value.quantization is None:
            value = self.builder.op("QUANTIZE", [value], value.shape, result, {}, name)
        elif value.quantization != result:
            value = rescaled(self.builder, value, result, name)
        if result.high == INT8_HIGH:
            return value
        bound = self.builder.constant(np.asarray([result.high], np.int8), "bound", result)
        return self.builder.op("MINIMUM", [value, bound], value.shape, result, {}, name)

    def _quantization(self, node: Node) -> Quantization | None:
        fmt = self._formats.get(node.name)
        return None if fmt is None else as_int8(fmt)

    def _absorbed(self, node: Node, rule: OperatorEmitter) -> Node | None:
        """The clip after `node` that can be fused into it, if there is one."""
        users = self.graph.users(node.name)
        if not rule.fusing or len(users) != 1 or node.name in self._formats or node.name == self.graph.output:
            return None
        return users[0] if users[0].op in CLIPS else None

    def _emitter(self, node: Node, last: Node, inputs: list[Value], result: Quantization | None) -> Emitter:
        return Emitter(
            builder=self.builder,
            node=node,
            shapes=self.graph.input_shapes(node),
            inputs=inputs,
            result=result,
            activation="NONE" if last is node else _activation(last),
            weight=self._weight(node),
            bias=self._bias(node, inputs),
            flattened=self._flattened(node),
            nonnegative=bool(node.inputs) and _is_nonnegative(self.graph[node.inputs[0]]),
            array=lambda role: _array(self._tensor(node, role)),
        )

    def _tensor(self, node: Node, role: str) -> Tensor:
        """A tensor of `node`; quantized weights are dequantized."""
        name = node.tensors[role]
        tensor, fmt = self.graph.tensors[name], self.graph.numerics.weights.get(name)
        return tensor if fmt is None else fake_quantize_weight(tensor, self.graph.tensors[fmt.scale], fmt)

    def _weight(self, node: Node) -> StoredWeight | None:
        if node.op not in ("conv2d", "linear"):
            return None
        name = node.tensors["weight"]
        tensor, fmt = self.graph.tensors[name].detach(), self.graph.numerics.weights.get(name)
        if fmt is None:
            return StoredWeight(_array(tensor))
        scale = self.graph.tensors[fmt.scale].detach()
        return StoredWeight(_array(quantize_weight(tensor, scale, fmt)).astype(np.int8), _array(scale))

    def _bias(self, node: Node, inputs: list[Value]) -> np.ndarray | None:
        """The bias in float; for an integer layer with a float result, rounded to the int32 steps."""
        if node.op not in ("conv2d", "linear") or "bias" not in node.tensors:
            return None
        bias = self.graph.tensors[node.tensors["bias"]].detach()
        weight = self.graph.numerics.weights.get(node.tensors["weight"])
        source = self._formats.get(node.inputs[0])
        if weight is None or source is None or inputs[0].quantization is not None:
            return _array(bias)
        return _array(fake_quantize_bias(bias, source.scale, self.graph.tensors[weight.scale]))

    def _flattened(self, node: Node) -> tuple[int, ...] | None:
        """The shape of the channels-last feature map that `node` flattens or reads flattened, if any."""
        flat = self.graph[node.inputs[0]] if node.op == "linear" else node
        if flat.op != "reshape" or len(flat.shape) != 1:
            return None
        source = self.graph[flat.inputs[0]].shape
        readers = self.graph.users(flat.name)
        known = bool(readers) and flat.name != self.graph.output and all(user.op == "linear" for user in readers)
        return source if known and len(source) == 3 and not is_one_line(source) else None


def _is_nonnegative(node: Node) -> bool:
    """Whether the operation of `node` never gives negative values."""
    return OPS[node.op].bounds(node)[0] >= 0


def _activation(node: Node) -> str:
    """The name of a clip as a fused activation; NONE if there is none for its bounds."""
    names = {(0.0, float("inf")): "RELU", (0.0, 6.0): "RELU6", (-1.0, 1.0): "RELU_N1_TO_1"}
    return names.get(clip_bounds(node), "NONE")


def _array(tensor: Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().float().cpu().numpy() if tensor.is_floating_point() else tensor.cpu().numpy()
    return array

"""Interface for an operation's TensorFlow Lite export rule: its inputs, and methods to add operators and constants."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from pocketcnn.formats.tflite.builder import TfliteBuilder
from pocketcnn.formats.tflite.layout import stored_shape
from pocketcnn.formats.tflite.values import Quantization, Value, fits
from pocketcnn.graph.node import Node, Shape

MAX_INT32 = 2**31 - 1

Arrange = Callable[[np.ndarray], np.ndarray]


class IntegerSupport(Enum):
    """Support for int8 inputs in an operation's export rule."""

    NONE = auto()
    """None: it computes in float between DEQUANTIZE and QUANTIZE."""
    PRESERVES = auto()
    """Data movement: the integers keep their scale and zero point."""
    COMPUTES = auto()
    """Its kernels requantize from the scales of the inputs to that of the result."""


@dataclass(frozen=True)
class StoredWeight:
    """A weight, quantized if it has a format."""

    array: np.ndarray
    """(outputs, …): float32, or int8 beside `scales`."""
    scales: np.ndarray | None = None


@dataclass(frozen=True)
class Emitter:
    """The input of an export rule, and the methods with which it adds operators.

    Attributes:
        node: the operation; shapes: shapes of its inputs, per image.
        inputs: its input tensors in the file, all float32 or all int8.
        result: quantization of the result; None for float32.
        activation: the activation to fuse, by its name in TensorFlow Lite.
        weight: the node's weight, if it has one; bias: its bias in float.
        flattened: for a linear layer, the shape of the feature map that was flattened to its input, if it is still stored
            channels last.
        nonnegative: whether the first input is known to have no negative values.
        array: role of a tensor -> its values in float.
    """

    builder: TfliteBuilder
    node: Node
    shapes: Sequence[Shape]
    inputs: Sequence[Value]
    result: Quantization | None
    activation: str
    weight: StoredWeight | None
    bias: np.ndarray | None
    flattened: Shape | None
    nonnegative: bool
    array: Callable[[str], np.ndarray]

    @property
    def is_integer(self) -> bool:
        """Whether the inputs are int8."""
        return all(value.quantization is not None for value in self.inputs)

    @property
    def fused(self) -> Mapping[str, object]:
        """The operator option for the fused `activation`."""
        code = getattr(self.builder.activations, self.activation)
        return {} if code == 0 else {"fusedActivationFunction": code}

    def compute(self, builtin: str, *inputs: Value, **options: object) -> Value:
        """Add the operator that computes the node's result."""
        shape = stored_shape(self.node.shape)
        return self.builder.op(builtin, inputs, shape, self.result, options, self.node.name)

    def step(self, builtin: str, *inputs: Value, shape: Sequence[int] | None = None, **options: object) -> Value:
        """Add an intermediate operator; its result has the quantization of the first input, and its shape by default."""
        first = inputs[0]
        shape = first.shape if shape is None else tuple(shape)
        return self.builder.op(builtin, inputs, shape, first.quantization, options, self.node.name)

    def floats(self, array: np.ndarray) -> Value:
        """A float32 constant."""
        return self.builder.constant(np.asarray(array, np.float32), f"{self.node.name}/constant")

    def ints(self, numbers: Sequence[int] | np.ndarray) -> Value:
        """An int32 constant, for shapes, axes or paddings."""
        return self.builder.constant(np.asarray(numbers, np.int32), f"{self.node.name}/shape")

    def filter(self, arrange: Arrange, axis: int) -> Value:
        """The weight, rearranged by `arrange` so that the output channels lie along `axis`.

        With float inputs a quantized weight gets a DEQUANTIZE operator, which is folded when the file is loaded.
        """
        weight = self.weight
        if weight is None:
            raise ValueError(f"{self.node.name!r} has no weight")
        array, name = np.ascontiguousarray(arrange(weight.array)), self.node.tensors["weight"]
        if weight.scales is None:
            return self.builder.constant(array.astype(np.float32), name)
        scales = Quantization(tuple(map(float, weight.scales)), axis=axis)
        stored = self.builder.constant(array, name, scales)
        return stored if self.is_integer else self.builder.op("DEQUANTIZE", [stored], array.shape, None, {}, name)

    def offset(self) -> Value:
        """The bias; zeros if the node has none, because some devices require a bias. int32 if the layer computes in integers."""
        weight, source = self.weight, self.inputs[0].quantization
        if weight is None:
            raise ValueError(f"{self.node.name!r} has no weight")
        bias = np.zeros(len(weight.array), np.float32) if self.bias is None else self.bias
        name = self.node.tensors.get("bias", f"{self.node.name}/bias")
        if source is None or weight.scales is None:
            return self.builder.constant(bias.astype(np.float32), name)
        steps = weight.scales.astype(np.float64) * source.scale
        integers = np.clip(np.rint(bias.astype(np.float64) / steps), -MAX_INT32, MAX_INT32).astype(np.int32)
        return self.builder.constant(integers, name, Quantization(tuple(map(float, steps))))

    def number(self, value: float, like: Value) -> Value:
        """A scalar constant with the quantization of `like`."""
        if like.quantization is None:
            return self.floats(np.asarray([value]))
        stored = np.asarray([like.quantization.stored(value)], np.int8)
        return self.builder.constant(stored, f"{self.node.name}/number", like.quantization)

    def rescaled(self, value: Value, activation: str = "NONE") -> Value:
        """`value` requantized to `result`, see `rescaled`."""
        return rescaled(self.builder, value, self.result, self.node.name, activation)

    def reshaped(self, value: Value, shape: Sequence[int]) -> Value:
        """The value reshaped; the first axis is inferred."""
        if tuple(shape) == value.shape:
            return value
        return self.step("RESHAPE", value, self.ints((-1, *shape[1:])), shape=shape)

    def transposed(self, value: Value, order: Sequence[int] | None) -> Value:
        """The value with its axes permuted to `order`; None: unchanged."""
        if order is None:
            return value
        return self.step("TRANSPOSE", value, self.ints(order), shape=[value.shape[axis] for axis in order])

    def padded(self, value: Value, before: Sequence[int], after: Sequence[int], number: float = 0.0) -> Value:
        """(N, H, W, C) padded with `number`; pairs are (vertical, horizontal)."""
        pads = self.ints(np.asarray([(0, 0), (before[0], after[0]), (before[1], after[1]), (0, 0)]))
        batch, height, width, channels = value.shape
        shape = (batch, height + before[0] + after[0], width + before[1] + after[1], channels)
        if number == 0:
            return self.step("PAD", value, pads, shape=shape)
        return self.step("PADV2", value, pads, self.number(number, value), shape=shape)


def rescaled(
    builder: TfliteBuilder, value: Value, result: Quantization | None, name: str, activation: str = "NONE"
) -> Value:
    """Requantize `value` to another scale with a single rounding, by an ADD of zero.

    QUANTIZE is intended for this, but rounds twice (XNNPACK keeps 8 bits of the ratio of the scales, the other kernels
    round before they shift): 7 % of the integers are one step off. The kernels of ADD keep 20 more bits.
    """
    quantization = value.quantization
    if quantization is None or result is None:
        raise ValueError(f"{name!r} is not quantized, so it cannot be requantized")
    if not fits(quantization.scale, result):
        number = builder.op("DEQUANTIZE", [value], value.shape, None, {}, name)
        return builder.op("QUANTIZE", [number], value.shape, result, {}, name)
    zero = builder.constant(np.asarray([quantization.zero_point], np.int8), "zero", quantization)
    code = getattr(builder.activations, activation)
    options = {"fusedActivationFunction": code} if code else {}
    return builder.op("ADD", [value, zero], value.shape, result, options, name)


Emit = Callable[[Emitter], Value]
Accepts = Callable[[Emitter], bool]


def keeps_scale(emit: Emitter) -> bool:
    """Whether the integer kernels support the ratios of the input scales to the result's scale."""
    return all(value.quantization is None or fits(value.quantization.scale, emit.result) for value in emit.inputs)


@dataclass(frozen=True)
class OperatorEmitter:
    """The export rule of an operation.

    Attributes:
        emit: adds its operators; if `fusing`, it must apply `Emitter.activation`.
        integers: its support for int8 inputs, if `accepts` returns True for them.
        fusing: whether its operator supports a fused activation.
    """

    emit: Emit
    integers: IntegerSupport = IntegerSupport.NONE
    accepts: Accepts = lambda emitter: True
    fusing: bool = False

"""Activations. Those whose integer kernels round once run in int8, the others in float with DEQUANTIZE and QUANTIZE."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from pocketcnn.formats.tflite.emitter import Emitter, IntegerSupport, OperatorEmitter, keeps_scale
from pocketcnn.formats.tflite.layout import stored_array, stored_axis
from pocketcnn.formats.tflite.values import INT8_LOW, Value
from pocketcnn.graph.ops.activation import GELU_TANH_CUBE, GELU_TANH_SCALE


def _one(builtin: str, **options: object) -> Callable[[Emitter], Value]:
    """The rule for an operation that is exactly one operator."""
    return lambda emit: emit.compute(builtin, emit.inputs[0], **options)


def _relu(builtin: str) -> Callable[[Emitter], Value]:
    """RELU or RELU6; in int8 fused into a requantization, which rounds more accurately than the operators' own kernels."""
    return lambda emit: (
        emit.rescaled(emit.inputs[0], builtin) if emit.is_integer else emit.compute(builtin, emit.inputs[0])
    )


def clamped(emit: Emitter, value: Value, low: float, high: float) -> Value:
    """`value` clamped to low … high; in int8 only if saturation does not already imply it."""
    quantization = value.quantization
    if quantization is None or quantization.steps(low) > INT8_LOW:
        value = emit.step("MAXIMUM", value, emit.number(low, value))
    if quantization is None or quantization.steps(high) < quantization.high:
        value = emit.step("MINIMUM", value, emit.number(high, value))
    return value


def clip(emit: Emitter) -> Value:
    """MAXIMUM and MINIMUM; in int8 after the requantization, so that each value is rounded once."""
    value = emit.inputs[0]
    if emit.is_integer and emit.result != value.quantization:
        value = emit.rescaled(value)
    return clamped(emit, value, emit.node.number("min"), emit.node.number("max"))


def hardsigmoid(emit: Emitter) -> Value:
    """relu6(x + 3) / 6."""
    value = emit.inputs[0]
    relu6 = emit.builder.activations.RELU6
    raised = emit.step("ADD", value, emit.number(3.0, value), fusedActivationFunction=relu6)
    return emit.compute("MUL", raised, emit.floats(np.asarray([1 / 6])))


def silu(emit: Emitter) -> Value:
    """x · sigmoid(x)."""
    return emit.compute("MUL", emit.inputs[0], emit.step("LOGISTIC", emit.inputs[0]))


def _softplus(emit: Emitter) -> tuple[Value, Value]:
    """max(x, 0) and log(1 + exp(-|x|)), whose sum is softplus(x) without overflow."""
    value = emit.inputs[0]
    small = emit.step("EXP", emit.step("NEG", emit.step("ABS", value)))
    return emit.step("RELU", value), emit.step("LOG", emit.step("ADD", small, emit.number(1.0, small)))


def mish(emit: Emitter) -> Value:
    """x · tanh(softplus(x))."""
    return emit.compute("MUL", emit.inputs[0], emit.step("TANH", emit.step("ADD", *_softplus(emit))))


def gelu(emit: Emitter) -> Value:
    """The operator for the exact function. The one by tanh is written out: LiteRT's kernel for it is off by 2e-4."""
    value = emit.inputs[0]
    if not emit.node.flag("tanh"):
        return emit.compute("GELU", value, approximate=False)
    cube = emit.step("MUL", emit.step("MUL", value, value), emit.step("MUL", value, emit.number(GELU_TANH_CUBE, value)))
    curve = emit.step("TANH", emit.step("MUL", emit.step("ADD", value, cube), emit.number(GELU_TANH_SCALE, value)))
    half = emit.step("MUL", value, emit.number(0.5, value))
    return emit.compute("MUL", half, emit.step("ADD", curve, emit.number(1.0, curve)))


def elu(emit: Emitter) -> Value:
    """The operator has alpha = 1; for another alpha the negative part is scaled separately."""
    value, alpha = emit.inputs[0], emit.node.number("alpha")
    if alpha == 1:
        return emit.compute("ELU", value)
    below = emit.step("ELU", emit.step("MINIMUM", value, emit.number(0.0, value)))
    scaled = emit.step("MUL", below, emit.floats(np.asarray([alpha])))
    return emit.compute("ADD", emit.step("RELU", value), scaled)


def prelu(emit: Emitter) -> Value:
    """PReLU with one slope per channel."""
    shape = emit.shapes[0]
    slope = np.broadcast_to(
        emit.array("weight").reshape(-1, *(1,) * (len(shape) - 1)), (shape[0], *(1,) * (len(shape) - 1))
    )
    return emit.compute("PRELU", emit.inputs[0], emit.floats(stored_array(slope)[0]))


def softmax(emit: Emitter) -> Value:
    """The operator works along the last axis, so another axis is transposed to it."""
    value = emit.inputs[0]
    axis, last = stored_axis(emit.node.integer("axis"), len(emit.shapes[0])), len(value.shape) - 1
    if axis == last:
        return emit.compute("SOFTMAX", value, beta=1.0)
    order = [last if a == axis else axis if a == last else a for a in range(last + 1)]
    moved = emit.step("SOFTMAX", emit.transposed(value, order), beta=1.0)
    return emit.transposed(moved, order)


ACTIVATIONS: Mapping[str, OperatorEmitter] = MappingProxyType(
    {
        "relu": OperatorEmitter(_relu("RELU"), IntegerSupport.COMPUTES, keeps_scale),
        "relu6": OperatorEmitter(_relu("RELU6"), IntegerSupport.COMPUTES, keeps_scale),
        "clip": OperatorEmitter(clip, IntegerSupport.COMPUTES),
        "leaky_relu": OperatorEmitter(
            lambda emit: emit.compute("LEAKY_RELU", emit.inputs[0], alpha=emit.node.number("slope"))
        ),
        "prelu": OperatorEmitter(prelu),
        "hardswish": OperatorEmitter(_one("HARD_SWISH")),
        "hardsigmoid": OperatorEmitter(hardsigmoid),
        "sigmoid": OperatorEmitter(_one("LOGISTIC")),
        "silu": OperatorEmitter(silu),
        "softplus": OperatorEmitter(lambda emit: emit.compute("ADD", *_softplus(emit))),
        "mish": OperatorEmitter(mish),
        "gelu": OperatorEmitter(gelu),
        "tanh": OperatorEmitter(_one("TANH")),
        "elu": OperatorEmitter(elu),
        "softmax": OperatorEmitter(softmax),
        "dropout": OperatorEmitter(lambda emit: emit.inputs[0], IntegerSupport.PRESERVES),
    }
)

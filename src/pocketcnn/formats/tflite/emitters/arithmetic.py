"""Arithmetic, constants and reductions."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from pocketcnn.formats.tflite.emitter import Emitter, IntegerSupport, OperatorEmitter, keeps_scale
from pocketcnn.formats.tflite.layout import stored_array, stored_axis, stored_order, transposition
from pocketcnn.formats.tflite.values import INT8_LOW, Value, fits


def _binary(builtin: str) -> Callable[[Emitter], Value]:
    return lambda emit: emit.compute(builtin, *emit.inputs, **emit.fused)


def _product_fits(emit: Emitter) -> bool:
    first, second = (value.quantization for value in emit.inputs)
    return first is not None and second is not None and fits(first.scale * second.scale, emit.result)


def affine(emit: Emitter) -> Value:
    """x · scale + offset; a factor of 1 and an offset of 0 are omitted."""
    value, scale, offset = emit.inputs[0], emit.node.number("scale"), emit.node.number("offset")
    if scale != 1:
        value = emit.step("MUL", value, emit.floats(np.asarray([scale])))
    return value if offset == 0 else emit.step("ADD", value, emit.floats(np.asarray([offset])))


def constant(emit: Emitter) -> Value:
    """A constant, quantized if the value has a format."""
    array = stored_array(emit.array("value").reshape(emit.node.shape))
    if emit.result is None:
        return emit.floats(array)
    steps = np.rint(array / np.float32(emit.result.scale)) + emit.result.zero_point
    integers = np.clip(steps, INT8_LOW, emit.result.high).astype(np.int8)
    return emit.builder.constant(integers, emit.node.name, emit.result)


def _reduction(builtin: str) -> Callable[[Emitter], Value]:
    def emit_reduction(emit: Emitter) -> Value:
        """Reduce the stored axes; the result is transposed to the layout for its rank."""
        rank, gone, kept = len(emit.shapes[0]), emit.node.ints("axes"), emit.node.flag("keepdim")
        axes = emit.ints(sorted(stored_axis(axis, rank) for axis in gone))
        left = [axis for axis in stored_order(rank) if axis not in gone]
        wanted = [[a for a in range(rank) if a not in gone][axis] for axis in stored_order(rank - len(gone))]
        order = None if kept else transposition(left, wanted)
        if order is None:
            return emit.compute(builtin, emit.inputs[0], axes, keepDims=kept)
        shape = (1, *(emit.shapes[0][axis] for axis in left))
        reduced = emit.builder.op(
            builtin, [emit.inputs[0], axes], shape, emit.result, {"keepDims": False}, emit.node.name
        )
        return emit.transposed(reduced, order)

    return emit_reduction


ARITHMETIC: Mapping[str, OperatorEmitter] = MappingProxyType(
    {
        "add": OperatorEmitter(_binary("ADD"), IntegerSupport.COMPUTES, keeps_scale, fusing=True),
        "sub": OperatorEmitter(_binary("SUB"), IntegerSupport.COMPUTES, keeps_scale, fusing=True),
        "mul": OperatorEmitter(_binary("MUL"), IntegerSupport.COMPUTES, _product_fits, fusing=True),
        "div": OperatorEmitter(_binary("DIV"), fusing=True),
        "affine": OperatorEmitter(affine),
        "constant": OperatorEmitter(constant, IntegerSupport.COMPUTES),
        "mean": OperatorEmitter(_reduction("MEAN"), IntegerSupport.COMPUTES, keeps_scale),
        "sum": OperatorEmitter(_reduction("SUM")),
    }
)

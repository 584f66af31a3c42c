"""Data movement; in int8 scale and zero point stay the same."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from pocketcnn.formats.tflite.emitter import Emitter, IntegerSupport, OperatorEmitter
from pocketcnn.formats.tflite.layout import is_one_line, stored_axis, stored_order, stored_shape, transposition
from pocketcnn.formats.tflite.values import Value


def concat(emit: Emitter) -> Value:
    """CONCATENATION; its integer kernel does not requantize, so the inputs are requantized before."""
    axis = stored_axis(emit.node.integer("axis"), len(emit.shapes[0]))
    parts = [value if value.quantization == emit.result else emit.rescaled(value) for value in emit.inputs]
    return emit.compute("CONCATENATION", *parts, axis=axis) if len(parts) > 1 else parts[0]


def cut(emit: Emitter, value: Value, axis: int, start: int, stop: int, step: int = 1) -> Value:
    """STRIDED_SLICE start:stop:step of the tensor's axis `axis`; XNNPACK has no SLICE with a free batch axis."""
    rank, shape = len(value.shape), list(value.shape)
    shape[axis] = len(range(start, stop, step))
    if shape == list(value.shape):
        return value
    begins, ends, steps = [0] * rank, [0] * rank, [1] * rank
    begins[axis], ends[axis], steps[axis] = start, stop, step
    whole = sum(1 << other for other in range(rank) if other != axis)
    parts = (emit.ints(numbers) for numbers in (begins, ends, steps))
    return emit.step("STRIDED_SLICE", value, *parts, shape=shape, beginMask=whole, endMask=whole)


def slice_(emit: Emitter) -> Value:
    axis = stored_axis(emit.node.integer("axis"), len(emit.shapes[0]))
    start, stop, step = (emit.node.integer(name) for name in ("start", "stop", "step"))
    return cut(emit, emit.inputs[0], axis, start, stop, step)


def channel_shuffle(emit: Emitter) -> Value:
    """The last axis as a matrix (groups, channels per group) that is transposed (ShuffleNet paper, Figure 1)."""
    value, groups = emit.inputs[0], emit.node.integer("groups")
    batch, height, width, channels = value.shape
    if groups in (1, channels):
        return value
    split = emit.reshaped(value, (batch * height * width, groups, channels // groups))
    return emit.reshaped(emit.transposed(split, (0, 2, 1)), value.shape)


def gather(emit: Emitter) -> Value:
    """Selection of channels by a list of indices, with repetitions."""
    axis = stored_axis(0, len(emit.shapes[0]))
    shape = stored_shape(emit.node.shape)
    return emit.step("GATHER", emit.inputs[0], emit.ints(emit.array("index")), shape=shape, axis=axis)


def roll(emit: Emitter) -> Value:
    """Two slices per axis, concatenated in the opposite order."""
    value = emit.inputs[0]
    for shift, axis in zip(emit.node.ints("shifts"), emit.node.ints("axes"), strict=True):
        size, place = emit.shapes[0][axis], stored_axis(axis, len(emit.shapes[0]))
        start = -shift % size
        if start:
            parts = [cut(emit, value, place, start, size), cut(emit, value, place, 0, start)]
            value = emit.step("CONCATENATION", *parts, shape=value.shape, axis=place)
    return value


def pad(emit: Emitter) -> Value:
    """Negative pads become slices before the padding."""
    value = emit.inputs[0]
    left, right, top, bottom = emit.node.ints("pads")
    for axis, first, last in ((1, top, bottom), (2, left, right)):
        value = cut(emit, value, axis, max(0, -first), value.shape[axis] + min(0, last))
    before, after = (max(0, top), max(0, left)), (max(0, bottom), max(0, right))
    return emit.padded(value, before, after, emit.node.number("value")) if any((*before, *after)) else value


def _has_an_exact_number(emit: Emitter) -> bool:
    """Whether the padding number is exact in int8: zero always is, another number depends on the format of the result."""
    return emit.node.number("value") == 0 or emit.result == emit.inputs[0].quantization


def reshape(emit: Emitter) -> Value:
    """Reshape in channels-first order; a flattened map that only linear layers read stays channels last."""
    value, (source,), target = emit.inputs[0], emit.shapes, emit.node.shape
    if source == target:
        return value
    if emit.flattened is None and not is_one_line(source):
        value = emit.transposed(value, transposition(stored_order(len(source)), range(len(source))))
    if is_one_line(target):
        return emit.reshaped(value, stored_shape(target))
    return _stored(emit, emit.reshaped(value, (1, *target)), target)


def _stored(emit: Emitter, value: Value, axes: Sequence[int]) -> Value:
    return emit.transposed(value, transposition(range(len(axes)), stored_order(len(axes))))


def permute(emit: Emitter) -> Value:
    order = emit.node.ints("order")
    wanted = [order[axis] for axis in stored_order(len(order))]
    return emit.transposed(emit.inputs[0], transposition(stored_order(len(order)), wanted))


def upsample(emit: Emitter) -> Value:
    """Nearest-neighbour upsampling by integer factors."""
    height, width = emit.node.shape[1:]
    size = emit.ints(np.asarray((height, width)))
    return emit.step("RESIZE_NEAREST_NEIGHBOR", emit.inputs[0], size, shape=stored_shape(emit.node.shape))


DATA_MOVEMENT: Mapping[str, OperatorEmitter] = MappingProxyType(
    {
        "concat": OperatorEmitter(concat, IntegerSupport.COMPUTES),
        "slice": OperatorEmitter(slice_, IntegerSupport.PRESERVES),
        "channel_shuffle": OperatorEmitter(channel_shuffle, IntegerSupport.PRESERVES),
        "gather": OperatorEmitter(gather, IntegerSupport.PRESERVES),
        "roll": OperatorEmitter(roll, IntegerSupport.PRESERVES),
        "pad": OperatorEmitter(pad, IntegerSupport.PRESERVES, _has_an_exact_number),
        "reshape": OperatorEmitter(reshape, IntegerSupport.PRESERVES),
        "permute": OperatorEmitter(permute, IntegerSupport.PRESERVES),
        "upsample": OperatorEmitter(upsample, IntegerSupport.PRESERVES),
    }
)

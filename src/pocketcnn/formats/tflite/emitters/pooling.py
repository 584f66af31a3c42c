"""Pooling of feature maps."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from math import prod
from types import MappingProxyType

import numpy as np

from pocketcnn.formats.tflite.emitter import Emitter, IntegerSupport, OperatorEmitter, keeps_scale
from pocketcnn.formats.tflite.emitters.convolution import constant_depthwise, convolution
from pocketcnn.formats.tflite.emitters.data_movement import cut
from pocketcnn.formats.tflite.layout import stored_shape
from pocketcnn.formats.tflite.values import INT8_HIGH, INT8_LOW, Value
from pocketcnn.formats.tflite.windows import Windows, windows
from pocketcnn.graph.node import Attr

LOWEST = float(np.finfo(np.float32).min)


def _options(emit: Emitter, window: Windows, scheme: str) -> dict[str, object]:
    return {
        "padding": getattr(emit.builder.paddings, scheme),
        "strideH": window.stride[0],
        "strideW": window.stride[1],
        "filterHeight": window.kernel[0],
        "filterWidth": window.kernel[1],
    }


def max_pool(emit: Emitter) -> Value:
    """MAX_POOL_2D; explicit padding uses the lowest number. For dilation there is no operator, see `_dilated`."""
    value, shape = emit.inputs[0], stored_shape(emit.node.shape)
    window = windows(emit.node, emit.shapes[0], emit.node.pair("kernel"))
    scheme = window.scheme if window.dilation == (1, 1) else None
    if scheme is None and window.padded:
        value = emit.padded(value, window.before, window.after, _lowest(emit))
    if window.dilation != (1, 1):
        return _dilated(emit, value, window)
    return emit.step("MAX_POOL_2D", value, shape=shape, **_options(emit, window, scheme or "VALID"))


def _lowest(emit: Emitter) -> float:
    """A padding number that is never above a value of the map; 0 if possible, since PAD needs no constant for it."""
    quantization = emit.inputs[0].quantization
    if quantization is None:
        return 0.0 if emit.nonnegative else LOWEST
    return (INT8_LOW - quantization.zero_point) * quantization.scale


def _dilated(emit: Emitter, value: Value, window: Windows) -> Value:
    """Dilated max pooling as the MAXIMUM of strided slices, one per position of the window."""
    largest: Value | None = None
    for place in product(range(window.kernel[0]), range(window.kernel[1])):
        view = value
        for axis, index in enumerate(place):
            start, step = index * window.dilation[axis], window.stride[axis]
            view = cut(emit, view, axis + 1, start, start + step * (emit.node.shape[axis + 1] - 1) + 1, step)
        largest = view if largest is None else emit.step("MAXIMUM", largest, view)
    return value if largest is None else largest


def _counts(emit: Emitter, window: Windows) -> np.ndarray:
    """The divisor of each window, (H, W): torch counts the padding if the node says so, but no pixels beyond it."""
    axes = []
    for axis, size in enumerate(emit.shapes[0][1:]):
        padding = window.before[axis]
        first, last = (-padding, size + padding) if emit.node.flag("count_padding") else (0, size)
        starts = np.arange(emit.node.shape[axis + 1]) * window.stride[axis] - padding
        axes.append(np.minimum(starts + window.kernel[axis], last) - np.maximum(starts, first))
    return np.outer(*axes)


def avg_pool(emit: Emitter) -> Value:
    """Average pooling. AVERAGE_POOL_2D does not count padding; otherwise the padding is explicit and the result rescaled.

    Its integer kernel does not requantize. A depthwise convolution with weights 1 / (K · K) does, with one rounding: its
    integer weights are large, so that the intermediate rounding of its kernels is small relative to the sum.
    """
    window = windows(emit.node, emit.shapes[0], emit.node.pair("kernel"))
    counts, whole = _counts(emit, window), prod(window.kernel)
    if emit.is_integer:
        kernel = np.full((emit.node.shape[0], 1, *window.kernel), INT8_HIGH, np.float32)
        return convolution(constant_depthwise(emit, kernel, 1 / (INT8_HIGH * whole)))
    if window.scheme is not None and (not window.padded or not emit.node.flag("count_padding")):
        return emit.compute("AVERAGE_POOL_2D", emit.inputs[0], **_options(emit, window, window.scheme))
    value = emit.padded(emit.inputs[0], window.before, window.after)
    mean = emit.compute("AVERAGE_POOL_2D", value, **_options(emit, window, "VALID"))
    if (counts == whole).all():
        return mean
    return emit.compute("MUL", mean, emit.floats((whole / counts)[np.newaxis, :, :, np.newaxis]))


def _divides_evenly(emit: Emitter) -> bool:
    """Whether every window has the same divisor."""
    window = windows(emit.node, emit.shapes[0], emit.node.pair("kernel"))
    return keeps_scale(emit) and bool((_counts(emit, window) == prod(window.kernel)).all())


def _bins_are_equal(emit: Emitter) -> bool:
    return all(size % bins == 0 for size, bins in zip(emit.shapes[0][1:], emit.node.pair("size"), strict=True))


def adaptive_avg_pool(emit: Emitter) -> Value:
    """Equal bins become a pooling, a single bin a mean; others a product with an averaging matrix per axis."""
    (channels, height, width), (rows, columns) = emit.shapes[0], emit.node.pair("size")
    if (rows, columns) == (height, width):
        return emit.inputs[0]
    if (rows, columns) == (1, 1):
        return emit.compute("MEAN", emit.inputs[0], emit.ints((1, 2)), keepDims=True)
    if _bins_are_equal(emit):
        kernel = (height // rows, width // columns)
        attrs: dict[str, Attr] = {
            "kernel": kernel,
            "stride": kernel,
            "padding": (0, 0),
            "ceil": False,
            "count_padding": False,
        }
        return avg_pool(replace(emit, node=replace(emit.node, attrs=attrs)))
    flat = emit.reshaped(emit.inputs[0], (1, height, width * channels))
    down = emit.step("BATCH_MATMUL", emit.floats(_averaging(height, rows)), flat, shape=(1, rows, width * channels))
    lines = emit.reshaped(down, (rows, width, channels))
    right = emit.step("BATCH_MATMUL", emit.floats(_averaging(width, columns)), lines, shape=(rows, columns, channels))
    return emit.reshaped(right, (1, rows, columns, channels))


def _averaging(size: int, bins: int) -> np.ndarray:
    """(1, bins, size): row i averages over bin i of torch's adaptive pooling."""
    matrix = np.zeros((1, bins, size), np.float32)
    for row in range(bins):
        start, stop = row * size // bins, -(-(row + 1) * size // bins)
        matrix[0, row, start:stop] = 1 / (stop - start)
    return matrix


POOLINGS: Mapping[str, OperatorEmitter] = MappingProxyType(
    {
        "max_pool": OperatorEmitter(max_pool, IntegerSupport.PRESERVES),
        "avg_pool": OperatorEmitter(avg_pool, IntegerSupport.COMPUTES, _divides_evenly),
        "adaptive_avg_pool": OperatorEmitter(
            adaptive_avg_pool, IntegerSupport.COMPUTES, lambda emit: keeps_scale(emit) and _bins_are_equal(emit)
        ),
    }
)

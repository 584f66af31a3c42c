"""Constants in the narrowest type that holds their very values, widened to float32 by the graph itself.

A quantized layer has a scale and a bias for each channel: 8 bytes in float32, which for a 3x3 depthwise convolution is
nearly as much as its 9 weights. Runtimes compute operators on constants once, on loading.
"""

from collections.abc import Iterator

import numpy as np
from onnx import TensorProto

from pocketcnn.formats.onnx.builder import OnnxBuilder

_WORTHWHILE = 32
"""Bytes that narrowing must save: it adds an operator or two."""

_LEVELS = 255


def narrow_constant(builder: OnnxBuilder, value: np.ndarray, hint: str) -> str:
    """Add a constant to the graph and return the name of a value that equals it, bit for bit."""
    if value.dtype == np.float32 and value.size:
        for stored, step in _encodings(value):
            if value.nbytes - stored.nbytes >= _WORTHWHILE and np.array_equal(_widened(stored, step), value):
                name = builder.constant(stored, f"{hint}/narrow")
                wide = builder.op("Cast", [name], {"to": TensorProto.FLOAT}, hint)
                return wide if step is None else builder.op("Mul", [wide, builder.constant(step, "step")], {}, hint)
    return builder.constant(value, hint)


def _encodings(value: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """What may stand for `value`, narrowest first: numbers, and the step that they count, if any."""
    with np.errstate(all="ignore"):  # a value outside a type's range comes out different, and is not taken
        yield value.astype(np.int8), None
        yield from _multiples(value)
        yield value.astype(np.int16), None
        yield value.astype(np.float16), None


def _multiples(value: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Multiples of 1/255 of the largest value, whose own rounding leaves three steps to try."""
    step = np.float32(value.max() / np.float32(_LEVELS))
    if value.min() >= 0 and step > 0:
        for near in (step, np.nextafter(step, np.float32(0)), np.nextafter(step, np.float32(np.inf))):
            yield np.rint(value / near).astype(np.uint8), np.asarray(near)


def _widened(stored: np.ndarray, step: np.ndarray | None) -> np.ndarray:
    wide = stored.astype(np.float32)
    return wide if step is None else wide * step

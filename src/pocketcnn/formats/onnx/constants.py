"""Compact constants: stored in the narrowest dtype that is exact, and converted to float32 by operators of the model.

A quantized layer has a scale and a bias per channel: 8 bytes in float32, nearly as much as the 9 weights of a 3x3 depthwise
convolution. Runtimes fold operators on constants once, when the model is loaded.
"""

from collections.abc import Iterator

import numpy as np
from onnx import TensorProto

from pocketcnn.formats.onnx.builder import OnnxBuilder

_WORTHWHILE = 32
"""Minimum saving in bytes, because one or two operators are added."""

_LEVELS = 255


def narrow_constant(builder: OnnxBuilder, value: np.ndarray, hint: str) -> str:
    """Add a constant in compact form and return the name of a bit-identical float32 value."""
    if value.dtype == np.float32 and value.size:
        for stored, step in _encodings(value):
            if value.nbytes - stored.nbytes >= _WORTHWHILE and np.array_equal(_widened(stored, step), value):
                name = builder.constant(stored, f"{hint}/narrow")
                wide = builder.op("Cast", [name], {"to": TensorProto.FLOAT}, hint)
                return wide if step is None else builder.op("Mul", [wide, builder.constant(step, "step")], {}, hint)
    return builder.constant(value, hint)


def _encodings(value: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Candidate encodings of `value`, narrowest first: stored numbers, and their step if they are multiples of one."""
    with np.errstate(all="ignore"):  # a value outside a dtype's range changes, and the encoding is then rejected
        yield value.astype(np.int8), None
        yield from _multiples(value)
        yield value.astype(np.int16), None
        yield value.astype(np.float16), None


def _multiples(value: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Multiples of 1/255 of the largest value; rounding leaves three candidate steps."""
    step = np.float32(value.max() / np.float32(_LEVELS))
    if value.min() >= 0 and step > 0:
        for near in (step, np.nextafter(step, np.float32(0)), np.nextafter(step, np.float32(np.inf))):
            yield np.rint(value / near).astype(np.uint8), np.asarray(near)


def _widened(stored: np.ndarray, step: np.ndarray | None) -> np.ndarray:
    wide = stored.astype(np.float32)
    return wide if step is None else wide * step

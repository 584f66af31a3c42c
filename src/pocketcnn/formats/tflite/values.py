"""Tensors of a TensorFlow Lite file: index, shape and quantization."""

from dataclasses import dataclass

import numpy as np

from pocketcnn.graph.numerics import ActivationFormat

INT8_LOW, INT8_HIGH = -128, 127


@dataclass(frozen=True)
class Quantization:
    """Affine quantization, ``real = scale · (integer - zero_point)``, with one scale or one per slice of `axis`.

    `high` is the largest integer of an activation; it is below 127 for fewer than 8 bits.
    """

    scales: tuple[float, ...]
    zero_point: int = 0
    axis: int = 0
    high: int = INT8_HIGH

    @property
    def scale(self) -> float:
        """The one scale of an activation."""
        (scale,) = self.scales
        return scale

    def steps(self, number: float) -> float:
        """The quantized value of `number` before saturation, rounded as in the simulation."""
        with np.errstate(over="ignore"):
            return float(np.rint(np.float32(number) / np.float32(self.scale))) + self.zero_point

    def stored(self, number: float) -> int:
        """The quantized value of `number`."""
        return int(min(max(self.steps(number), INT8_LOW), self.high))


@dataclass(frozen=True)
class Value:
    """A tensor: int8 if it has a quantization, else float32. `shape` is in storage order, for one image."""

    index: int
    shape: tuple[int, ...]
    quantization: Quantization | None = None


MAX_GAIN = 256
"""Limit for the ratio of the accumulator's scale to the result's scale; integer kernels fail above it.

XNNPACK rejects the whole file at 2^8 in a convolution, and the other kernels of ADD abort the process at 2^19. Such ratios
occur next to a value that was 0 on all calibration images, whose scale is arbitrary.
"""


def fits(step: float, result: Quantization | None) -> bool:
    """Whether integer kernels support requantization from the scale `step` to that of `result`."""
    return result is not None and step < MAX_GAIN * result.scale


def as_int8(fmt: ActivationFormat) -> Quantization:
    """A format as int8, the only 8-bit type that all kernels support; the lowest integer becomes -128.

    The integers of uint8 are 128 lower, and every format saturates at its own lower bound.
    """
    moved = INT8_LOW - fmt.low
    return Quantization((fmt.scale,), fmt.zero_point + moved, high=fmt.high + moved)

"""What a tensor of a TensorFlow Lite file is known by: its index, its shape, and what its integers stand for."""

from dataclasses import dataclass

import numpy as np

from pocketcnn.graph.numerics import ActivationFormat

INT8_LOW, INT8_HIGH = -128, 127


@dataclass(frozen=True)
class Quantization:
    """A real value is ``scale · (integer - zero_point)``, with one scale, or one for each slice of `axis`.

    `high` is the largest integer of an activation; it is below 127 for formats of fewer than 8 bits.
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
        """The whole number that stands for `number`, before it saturates; rounded as the simulation rounds."""
        with np.errstate(over="ignore"):
            return float(np.rint(np.float32(number) / np.float32(self.scale))) + self.zero_point

    def stored(self, number: float) -> int:
        """The integer that stands for `number`."""
        return int(min(max(self.steps(number), INT8_LOW), self.high))


@dataclass(frozen=True)
class Value:
    """A tensor: of float32 without a quantization, of int8 with one. `shape` is as in the file, for one image."""

    index: int
    shape: tuple[int, ...]
    quantization: Quantization | None = None


MAX_GAIN = 256
"""Steps of the result in a step of the accumulator, from which on no integer kernel can be trusted.

XNNPACK refuses the whole file at 2^8 in a convolution, the other kernels of ADD end the process at 2^19. A value that
was 0 on all calibration images has a scale that says nothing, so this happens beside it.
"""


def fits(step: float, result: Quantization | None) -> bool:
    """Whether integer kernels go from steps of the size `step` to those of `result`."""
    return result is not None and step < MAX_GAIN * result.scale


def as_int8(fmt: ActivationFormat) -> Quantization:
    """The same steps in int8, the only 8-bit integers that all kernels know: the lowest integer becomes -128.

    So the integers of an unsigned 8-bit format are 128 lower, and those of every format saturate at its own lower end.
    """
    moved = INT8_LOW - fmt.low
    return Quantization((fmt.scale,), fmt.zero_point + moved, high=fmt.high + moved)

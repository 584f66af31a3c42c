"""From real numbers to integers and back, and from sums of integers to integers: the definition, in numpy.

Every product and quotient is of float32 numbers and is rounded to float32, as in ONNX's DequantizeLinear and
QuantizeLinear. A quotient becomes the nearest integer, and of two that are equally near the even one, before the zero point is
added and the result saturates.
"""

import numpy as np

from pocketcnn.graph.numerics import ActivationFormat


def quantized(values: np.ndarray, fmt: ActivationFormat) -> np.ndarray:
    """The integers that stand for real numbers (Jacob et al., section 2.1, equation 1, solved for q)."""
    return _stored(values.astype(np.float32) / np.float32(fmt.scale), fmt, *step_bounds(fmt))


def dequantized(integers: np.ndarray, fmt: ActivationFormat) -> np.ndarray:
    """The real numbers, float32, that integers stand for (Jacob et al., equation 1)."""
    return steps(integers, fmt).astype(np.float32) * np.float32(fmt.scale)


def steps(integers: np.ndarray, fmt: ActivationFormat) -> np.ndarray:
    """How many steps of the scale each integer lies from zero: q - Z, as int32."""
    return integers.astype(np.int32) - np.int32(fmt.zero_point)


def requantized(
    sums: np.ndarray,
    scale: np.ndarray,
    count: np.ndarray,
    fmt: ActivationFormat,
    low: float = -np.inf,
    high: float = np.inf,
) -> np.ndarray:
    """Sums of integers in the format in which they are stored (Jacob et al., section 2.2, equations 4 and 5).

    Args:
        sums: int32 accumulators.
        scale: what one of them stands for, before it is divided by `count`; broadcast, as `count` is.
        count: how many numbers each is the mean of; 1 where it is a sum.
        form: the format of the result.
        low: least real number of an activation that is applied before storing, as a ReLU's 0.
        high: its largest.
    """
    multiplier = np.float32(scale) / (np.float32(fmt.scale) * np.float32(count))
    return _stored(sums.astype(np.float32) * multiplier, fmt, *step_bounds(fmt, low, high))


def step_bounds(fmt: ActivationFormat, low: float = -np.inf, high: float = np.inf) -> tuple[int, int]:
    """The fewest and most steps from zero that a value of a format has, after a clip to `low` … `high` too."""
    lowest, highest = fmt.low - fmt.zero_point, fmt.high - fmt.zero_point
    least, most = (np.rint(np.float32(bound) / np.float32(fmt.scale)) for bound in (low, high))
    return int(np.clip(least, lowest, highest)), int(np.clip(most, lowest, highest))


def _stored(exact: np.ndarray, fmt: ActivationFormat, low: int, high: int) -> np.ndarray:
    """Real numbers of steps as stored integers."""
    whole = np.clip(np.rint(exact), np.float32(low), np.float32(high)).astype(np.int32)
    integers: np.ndarray = (whole + fmt.zero_point).astype(np.int8 if fmt.signed else np.uint8)
    return integers

"""Definition of quantize, dequantize and requantize, in numpy.

Every product and quotient is computed in float32, as in ONNX's DequantizeLinear and QuantizeLinear. A quotient is rounded
half to even; then the zero point is added and the result saturates.
"""

import numpy as np

from pocketcnn.graph.numerics import ActivationFormat


def quantized(values: np.ndarray, fmt: ActivationFormat) -> np.ndarray:
    """Quantize real numbers (Jacob et al., section 2.1, equation 1, solved for q)."""
    return _stored(values.astype(np.float32) / np.float32(fmt.scale), fmt, *step_bounds(fmt))


def dequantized(integers: np.ndarray, fmt: ActivationFormat) -> np.ndarray:
    """Dequantize integers to float32 (Jacob et al., equation 1)."""
    return steps(integers, fmt).astype(np.float32) * np.float32(fmt.scale)


def steps(integers: np.ndarray, fmt: ActivationFormat) -> np.ndarray:
    """Integers relative to the zero point: q - Z, as int32."""
    return integers.astype(np.int32) - np.int32(fmt.zero_point)


def requantized(
    sums: np.ndarray,
    scale: np.ndarray,
    count: np.ndarray,
    fmt: ActivationFormat,
    low: float = -np.inf,
    high: float = np.inf,
) -> np.ndarray:
    """Requantize accumulators to a format (Jacob et al., section 2.2, equations 4 and 5).

    Args:
        sums: int32 accumulators.
        scale: real value of one accumulator unit, before the division by `count`; broadcast, as `count` is.
        count: number of summands for a mean; 1 for a sum.
        form: the format of the result.
        low: lower bound, as a real number, of a fused activation; 0 for ReLU.
        high: its upper bound.
    """
    multiplier = np.float32(scale) / (np.float32(fmt.scale) * np.float32(count))
    return _stored(sums.astype(np.float32) * multiplier, fmt, *step_bounds(fmt, low, high))


def step_bounds(fmt: ActivationFormat, low: float = -np.inf, high: float = np.inf) -> tuple[int, int]:
    """The smallest and largest q - Z of a format, also limited by a clip to the real range `low` … `high`."""
    lowest, highest = fmt.low - fmt.zero_point, fmt.high - fmt.zero_point
    least, most = (np.rint(np.float32(bound) / np.float32(fmt.scale)) for bound in (low, high))
    return int(np.clip(least, lowest, highest)), int(np.clip(most, lowest, highest))


def _stored(exact: np.ndarray, fmt: ActivationFormat, low: int, high: int) -> np.ndarray:
    """Real numbers, in steps of the scale, rounded and clamped to the integers of the format."""
    whole = np.clip(np.rint(exact), np.float32(low), np.float32(high)).astype(np.int32)
    integers: np.ndarray = (whole + fmt.zero_point).astype(np.int8 if fmt.signed else np.uint8)
    return integers

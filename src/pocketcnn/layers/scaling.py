"""Channels under a width multiplier, and strides for small images.

The published networks have a total stride of 32, which reduces 32 × 32 pixels to one. The CIFAR variants have the same layers
and weights, but stride 1 in the earliest strided layers, because a small image needs its full resolution there.
"""

import math
from collections.abc import Sequence

from pocketcnn.errors import UsageError


def keep_total_stride(strides: Sequence[int], total: int) -> tuple[int, ...]:
    """`strides`, in the order of the layers, with the earliest ones set to 1 so that their product is `total`.

    Raises:
        UsageError: no such product can be reached.

    >>> keep_total_stride([2, 1, 2, 2, 1, 2], 4)
    (1, 1, 1, 2, 1, 2)
    """
    candidates = [(1,) * dropped + tuple(strides[dropped:]) for dropped in range(len(strides) + 1)]
    for candidate in candidates:
        if math.prod(candidate) == total:
            return candidate
    reachable = sorted({math.prod(candidate) for candidate in candidates}, reverse=True)
    raise UsageError(
        f"This network cannot have a total stride of {total}. Choose one of {', '.join(map(str, reachable))}."
    )


def make_divisible(value: float, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to `value`, at least `divisor`, and never below 90 % of `value`.

    The rule of MobileNetV2's and V3's reference code (`_make_divisible` of TensorFlow-Slim's mobilenet.py).
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * value else rounded + divisor

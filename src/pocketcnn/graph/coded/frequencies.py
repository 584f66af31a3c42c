"""Compact storage of a segment's symbol frequencies: one byte each, a floating-point number with four significant bits.

The rounding lengthens the code by less than 0.001 bit per symbol.
"""

import numpy as np
import numpy.typing as npt

from pocketcnn.graph.coded.encodings import Bytes

DIGITS = 4
_ONES = 1 << DIGITS
LARGEST = ((1 << (DIGITS + 1)) - 1) << (256 // _ONES - 2)
"""The largest count that a byte can represent; the counts of longer segments are scaled down."""


def stored_counts(counts: npt.NDArray[np.int64]) -> Bytes:
    """Counts rounded to bytes. A symbol that occurs keeps a count of at least 1."""
    largest = int(counts.max(initial=0))
    if largest > LARGEST:
        counts = np.where(counts > 0, np.maximum(1, counts * LARGEST // largest), 0)
    exponents = np.floor(np.log2(np.maximum(counts, 1))).astype(np.int64)
    shifts = np.maximum(0, exponents - DIGITS)
    # counts below 2^(DIGITS + 1) are stored exactly; above, the byte holds the exponent and the bits after the leading one
    codes = np.where(shifts > 0, _ONES * (shifts + 1) + ((counts >> shifts) - _ONES), counts)
    return codes.astype(np.uint8)


def probabilities(stored: Bytes) -> npt.NDArray[np.float64]:
    """Probabilities of the symbols 0, 1, … from their stored counts; at least two, as the coder requires.

    Raises:
        ValueError: all counts are zero.
    """
    codes = stored.astype(np.int64)
    shifts = np.maximum(0, codes // _ONES - 1)
    counts = np.where(shifts > 0, (codes % _ONES + _ONES) << shifts, codes)
    total = int(counts.sum())
    if not total:
        raise ValueError("all frequencies are zero")
    return np.pad(counts / total, (0, max(0, 2 - len(counts))))

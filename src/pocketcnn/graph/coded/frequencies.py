"""The frequencies of a segment's symbols, small enough to be stored: one byte each, with four significant binary digits.

That makes a code longer by less than a thousandth of a bit a symbol.
"""

import numpy as np
import numpy.typing as npt

from pocketcnn.graph.coded.encodings import Bytes

DIGITS = 4
_ONES = 1 << DIGITS
LARGEST = ((1 << (DIGITS + 1)) - 1) << (256 // _ONES - 2)
"""The largest count that a byte stands for; frequencies of longer segments are scaled down."""


def stored_counts(counts: npt.NDArray[np.int64]) -> Bytes:
    """Counts as bytes. A symbol that occurs keeps a count of at least 1."""
    largest = int(counts.max(initial=0))
    if largest > LARGEST:
        counts = np.where(counts > 0, np.maximum(1, counts * LARGEST // largest), 0)
    exponents = np.floor(np.log2(np.maximum(counts, 1))).astype(np.int64)
    shifts = np.maximum(0, exponents - DIGITS)
    # below 2^(DIGITS + 1) counts stand for themselves; above, a byte is the shift and the digits after the leading one
    codes = np.where(shifts > 0, _ONES * (shifts + 1) + ((counts >> shifts) - _ONES), counts)
    return codes.astype(np.uint8)


def probabilities(stored: Bytes) -> npt.NDArray[np.float64]:
    """Probabilities of the symbols 0, 1, … from their stored counts; two at least, because a coder needs them.

    Raises:
        ValueError: all counts are zero.
    """
    codes = stored.astype(np.int64)
    shifts = np.maximum(0, codes // _ONES - 1)
    counts = np.where(shifts > 0, (codes % _ONES + _ONES) << shifts, codes)
    total = int(counts.sum())
    if not total:
        raise ValueError("frequencies that are all zero")
    return np.pad(counts / total, (0, max(0, 2 - len(counts))))

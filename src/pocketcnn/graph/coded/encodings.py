"""Lossless encodings of a tensor's values, and the choice of the smallest for each tensor.

Han, Mao and Dally, "Deep Compression" (ICLR 2016), store a pruned and clustered weight as the gap to the previous one
and an index into a codebook (section 3, Figures 2 and 3). Here every tensor may use each part: the positions are all
(dense) or those of the non-zero values (sparse, as gaps), and the values are stored directly or as indices into a
palette (the codebook). The paper pads gaps beyond the largest symbol with zero weights; here the largest gap symbol
means 255 zeros and no weight.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.unsignedinteger]
"""The bit patterns of values, as unsigned integers of the same size."""

EncodingName = Literal["dense", "sparse", "steps"]

DTYPES: dict[str, torch.dtype] = {
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F64": torch.float64,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}

LARGEST_PALETTE = 256
SKIP = 255
"""The gap symbol for 255 zeros without a value after them."""

LARGEST_STEP = 255
OVERHEAD = 0.1
"""Estimated overhead of the entropy coder over the entropy, in bits per symbol, for the choice of the encoding."""


@dataclass(frozen=True)
class Encoding:
    """How one tensor is stored.

    `palette` is the number of palette entries, 0 if values are stored directly; `gaps` the number of gap symbols of a
    sparse tensor.
    """

    name: EncodingName
    dtype: str
    shape: tuple[int, ...]
    palette: int = 0
    gaps: int = 0

    @property
    def size(self) -> int:
        """Number of values, zeros included."""
        return prod(self.shape)

    @property
    def item_bytes(self) -> int:
        """Bytes of one value."""
        return DTYPES[self.dtype].itemsize

    @property
    def has_symbols(self) -> bool:
        """Whether its values are in the stream of symbols: one-byte values or palette indices."""
        return self.name == "steps" or self.palette > 0 or self.item_bytes == 1

    def words(self, values: int) -> int:
        """The number of values that are stored directly, not as symbols, if `values` values are stored in all."""
        if self.name == "steps":
            return 1
        return self.palette if self.has_symbols else values


@dataclass(frozen=True)
class EncodedTensor:
    """An encoded tensor: gap symbols, value symbols, and words (the palette, or the values that are stored directly)."""

    encoding: Encoding
    gaps: Bytes
    symbols: Bytes
    words: Words


def smallest(tensor: Tensor) -> EncodedTensor:
    """`tensor` in the encoding with the fewest bits, estimated from the entropy of its symbols."""
    return min(_candidates(tensor), key=_bits)


def decode_tensor(encoding: Encoding, gaps: Bytes, symbols: Bytes, words: Words) -> Tensor:
    """The tensor that `smallest` encoded.

    Raises:
        ValueError: an index, a position or a number of values is out of range.
    """
    if encoding.name == "steps":
        values: Words = (symbols.astype(np.float32) * words.view(np.float32)[0]).view(np.uint32)
    elif not encoding.has_symbols:
        values = words
    elif encoding.palette:
        if symbols.size and int(symbols.max()) >= encoding.palette:
            raise ValueError("an index beyond the palette")
        values = words[symbols]
    else:
        values = _unfolded(symbols) if encoding.dtype == "I8" else symbols
    if encoding.name == "sparse":
        positions = _positions(gaps)
        if len(positions) and positions[-1] >= encoding.size:
            raise ValueError("a position beyond the tensor")
        whole = np.zeros(encoding.size, values.dtype)
        whole[positions] = values
        values = whole
    flat = torch.from_numpy(np.ascontiguousarray(values).view(np.uint8).copy())
    if encoding.dtype == "BOOL":
        flat = flat.ne(0)
    return flat.view(DTYPES[encoding.dtype]).reshape(encoding.shape)


def values_at(gaps: Bytes) -> int:
    """The number of non-zero values of a sparse tensor with these gap symbols."""
    return int((gaps != SKIP).sum())


def words_of(tensor: Tensor) -> Words:
    """The bit patterns of a tensor's values, flattened."""
    flat: Bytes = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return flat.view(f"<u{tensor.dtype.itemsize}")


def _candidates(tensor: Tensor) -> Iterator[EncodedTensor]:
    words, dtype, shape = words_of(tensor), NAMES[tensor.dtype], tuple(tensor.shape)
    nothing = np.zeros(0, np.uint8)
    yield from _valued(Encoding("dense", dtype, shape), nothing, words)
    if len(words) and not words.all():
        nonzero = np.flatnonzero(words)
        gaps = _gaps(nonzero)
        yield from _valued(Encoding("sparse", dtype, shape, gaps=len(gaps)), gaps, words[nonzero])
    if dtype == "F32" and (found := _steps(words.view(np.float32))) is not None:
        step, counts = found
        yield EncodedTensor(
            Encoding("steps", dtype, shape), nothing, counts, np.array([step], np.float32).view(np.uint32)
        )


def _valued(encoding: Encoding, gaps: Bytes, values: Words) -> Iterator[EncodedTensor]:
    """`encoding` with the values stored directly, and with a palette if there are few distinct values."""
    nothing = np.zeros(0, np.uint8)
    if encoding.item_bytes == 1:
        yield EncodedTensor(
            encoding, gaps, _folded(values) if encoding.dtype == "I8" else values.view(np.uint8), nothing
        )
        return
    yield EncodedTensor(encoding, gaps, nothing, values)
    if len(np.unique(values[: 4 * LARGEST_PALETTE])) <= LARGEST_PALETTE:  # a prefix rules out most tensors cheaply
        entries, indices, counts = np.unique(values, return_inverse=True, return_counts=True)
        if 0 < len(entries) <= LARGEST_PALETTE:
            order = np.argsort(-counts, kind="stable")  # frequent ones first: their indices share leading bits
            rank = np.empty(len(order), np.uint8)
            rank[order] = np.arange(len(order), dtype=np.uint8)
            with_palette = Encoding(encoding.name, encoding.dtype, encoding.shape, len(entries), encoding.gaps)
            yield EncodedTensor(with_palette, gaps, rank[indices.reshape(-1)], entries[order])


def _bits(stored: EncodedTensor) -> float:
    whole = 8 * stored.encoding.item_bytes * len(stored.words)
    return whole + sum(len(part) * (entropy(part) + OVERHEAD) for part in (stored.gaps, stored.symbols))


def entropy(symbols: Bytes) -> float:
    """Shannon entropy of the symbols' distribution, in bits per symbol; 0 for no symbols."""
    counts = np.bincount(symbols)
    shares = counts[counts > 0] / max(1, len(symbols))
    return float(-(shares * np.log2(shares)).sum())


def _gaps(positions: npt.NDArray[np.int64]) -> Bytes:
    """The number of zeros before each value; each 255 zeros become one `SKIP` symbol."""
    zeros = np.diff(positions, prepend=-1) - 1
    symbols = zeros // SKIP + 1
    gaps = np.full(int(symbols.sum()), SKIP, np.uint8)
    gaps[np.cumsum(symbols) - 1] = zeros % SKIP
    return gaps


def _positions(gaps: Bytes) -> npt.NDArray[np.int64]:
    has_value = gaps != SKIP
    found: npt.NDArray[np.int64] = (np.cumsum(gaps.astype(np.int64) + has_value) - 1)[has_value]
    return found


def _folded(words: Words) -> Bytes:
    """Zigzag code: 0, -1, 1, -2, … as 0, 1, 2, 3, …, so that small magnitudes become small bytes."""
    signed = words.view(np.int8)
    return ((signed.view(np.uint8) << 1) ^ (signed >> 7).view(np.uint8)).astype(np.uint8)


def _unfolded(symbols: Bytes) -> Bytes:
    signs = np.where(symbols & 1, 255, 0).astype(np.uint8)
    found: Bytes = np.bitwise_xor(symbols >> 1, signs, dtype=np.uint8)
    return found


def _steps(values: npt.NDArray[np.float32]) -> tuple[np.float32, Bytes] | None:
    """`values` as multiples 1 … 255 of one step, as scales of quantized weights often are; None if they are not."""
    if not len(values) or not np.isfinite(values).all() or values.min() <= 0:
        return None
    largest = values.max() / np.float32(LARGEST_STEP)
    for step in (largest, np.nextafter(largest, np.float32(0)), np.nextafter(largest, np.float32(np.inf))):
        if step > 0:
            counts = np.rint(values / step)
            if counts.min() >= 1 and counts.max() <= LARGEST_STEP and np.array_equal(counts * step, values):
                return np.float32(step), counts.astype(np.uint8)
    return None

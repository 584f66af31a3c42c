"""Entropy coding of segments of bytes: gaps, indices, integers, planes of floating-point numbers, tensor after tensor.

Two coders share the work. The range coder of the library constriction takes a segment with the frequencies of its symbols and
comes within a fraction of a per cent of its entropy; the frequencies must be stored. LZMA takes all other segments, joined:
it learns frequencies as it goes, which suits short segments, and leaves what cannot be compressed as it is. Without the
library LZMA takes everything, at a few per cent more bytes (benchmarks/compression/storage.py measures how many).
"""

import importlib
import importlib.util
from typing import Any, Literal

import numpy as np

from pocketcnn.errors import MissingExtra
from pocketcnn.graph.coded.encodings import Bytes, entropy
from pocketcnn.graph.coded.frequencies import probabilities, stored_counts
from pocketcnn.graph.coded.streams import CodedError, pack, unpack

Coding = Literal["lzma", "range"]
"""``lzma`` needs nothing to be read, ``range`` the extra ``coding``."""

ADAPTIVE_LOSS = 0.12
"""Bits a symbol that LZMA takes beyond the entropy, up to the 8 bits that it never exceeds."""

TABLE_BITS = 7.0
"""Bits of one stored frequency, and `SEGMENT_BITS` of what else a segment of its own takes."""

SEGMENT_BITS = 40.0
PIECE = 1 << 22
"""Symbols decoded at a time: the library makes four bytes of each."""


def library() -> Any:
    """The entropy coders of constriction.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        return importlib.import_module("constriction").stream
    except ImportError as error:
        raise MissingExtra("Range coding of model files", "coding") from error


def has_library() -> bool:
    """Whether it is installed."""
    return importlib.util.find_spec("constriction") is not None


class Encoder:
    """Takes segments in order; `finish` gives the bytes."""

    def __init__(self, coding: Coding) -> None:
        self._stream = library() if coding == "range" else None
        self._range = self._stream.queue.RangeEncoder() if self._stream else None
        self._adaptive: list[bytes] = []
        self._tables: list[bytes] = []

    def add(self, segment: Bytes) -> int:
        """Take a segment; the number of frequencies that are stored for it, 0 if it goes to LZMA."""
        if self._stream is None or not _pays(segment):
            self._adaptive.append(segment.tobytes())
            return 0
        table = stored_counts(np.bincount(segment))
        self._tables.append(table.tobytes())
        model = self._stream.model.Categorical(probabilities(table), perfect=False)
        self._range.encode(segment.astype(np.int32), model)  # type: ignore[union-attr]
        return len(table)

    def finish(self) -> tuple[bytes, bytes, bytes]:
        """The joined segments of LZMA, the frequencies, and the range coder's words, each as bytes."""
        words = self._range.get_compressed().astype("<u4").tobytes() if self._range and self._tables else b""
        return pack(b"".join(self._adaptive)), pack(b"".join(self._tables)), words


class Decoder:
    """Gives the segments back, in the order in which `Encoder` took them.

    Args:
        parts: what `Encoder.finish` gave; adaptive_bytes, table_bytes: sizes of the first two unpacked.

    Raises:
        CodedError: they are damaged.
        MissingExtra: a segment was range coded, and the library is not installed.
    """

    def __init__(self, parts: tuple[bytes, bytes, bytes], adaptive_bytes: int, table_bytes: int) -> None:
        adaptive, tables, words = parts
        self._adaptive = np.frombuffer(unpack(adaptive, adaptive_bytes), np.uint8)
        self._tables = np.frombuffer(unpack(tables, table_bytes), np.uint8)
        if len(words) % 4:
            raise CodedError("its range-coded bytes are cut off.")
        self._stream = library() if words else None
        data = np.frombuffer(words, "<u4").astype(np.uint32)
        self._range = self._stream.queue.RangeDecoder(data) if self._stream else None
        self._adaptive_at = self._table_at = 0

    def take(self, size: int, frequencies: int) -> Bytes:
        """The next segment, of `size` bytes, for which `Encoder.add` returned `frequencies`."""
        if not frequencies:
            segment = self._adaptive[self._adaptive_at : self._adaptive_at + size]
            self._adaptive_at += size
            if len(segment) != size:
                raise CodedError("it has fewer coded bytes than its tensors need.")
            return segment
        table = self._tables[self._table_at : self._table_at + frequencies]
        self._table_at += frequencies
        if self._range is None or self._stream is None or len(table) != frequencies:
            raise CodedError("it has fewer frequencies than its tensors need.")
        try:
            model = self._stream.model.Categorical(probabilities(table), perfect=False)
            whole = np.empty(size, np.uint8)
            for start in range(0, size, PIECE):
                piece = whole[start : start + PIECE]
                piece[:] = self._range.decode(model, len(piece))
        except (ValueError, AssertionError) as error:  # what the library raises for words that no encoder made
            raise CodedError(f"its range-coded bytes are damaged ({error}).") from error
        return whole

    def check_end(self) -> None:
        """All bytes must be used up.

        Raises:
            CodedError: some are left.
        """
        words_left = self._range is not None and not (self._table_at and self._range.maybe_exhausted())
        if words_left or self._adaptive_at != len(self._adaptive) or self._table_at != len(self._tables):
            raise CodedError("it has more coded bytes than its tensors need.")


def _pays(segment: Bytes) -> bool:
    """Whether the range coder with stored frequencies takes fewer bits than LZMA."""
    if not len(segment):
        return False
    bits = entropy(segment)
    table = SEGMENT_BITS + TABLE_BITS * (int(segment.max()) + 1)
    return len(segment) * (min(8.0, bits + ADAPTIVE_LOSS) - bits) > table

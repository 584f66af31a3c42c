"""Entropy coding of byte segments: gaps, indices, integers and byte planes of floating-point numbers.

There are two coders. The static range coder of the library constriction comes within 1 % of a segment's entropy, but the
frequencies of the symbols must be stored. All other segments are joined and compressed by LZMA, which is adaptive: that
suits short segments and incompressible data. Without constriction LZMA compresses all segments, to files that are a few
per cent larger (measured by benchmarks/compression/storage.py).
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
"""``lzma`` is read with the standard library, ``range`` needs the extra ``coding``."""

ADAPTIVE_LOSS = 0.12
"""Estimated overhead of LZMA over the entropy, in bits per symbol; the total is at most 8 bits per symbol."""

TABLE_BITS = 7.0
"""Estimated bits of one stored frequency; `SEGMENT_BITS` is the fixed overhead of a range-coded segment."""

SEGMENT_BITS = 40.0
PIECE = 1 << 22
"""Symbols decoded per call: the library returns four bytes for each, so that limits memory."""


def library() -> Any:
    """The module of entropy coders of the library constriction.

    Raises:
        MissingExtra: constriction is not installed.
    """
    try:
        return importlib.import_module("constriction").stream
    except ImportError as error:
        raise MissingExtra("Range coding of model files", "coding") from error


def has_library() -> bool:
    """Whether constriction is installed."""
    return importlib.util.find_spec("constriction") is not None


class Encoder:
    """Encodes segments in order; `finish` returns the bytes."""

    def __init__(self, coding: Coding) -> None:
        self._stream = library() if coding == "range" else None
        self._range = self._stream.queue.RangeEncoder() if self._stream else None
        self._adaptive: list[bytes] = []
        self._tables: list[bytes] = []

    def add(self, segment: Bytes) -> int:
        """Encode a segment. Returns the number of frequencies that are stored for it, 0 if LZMA compresses it."""
        if self._stream is None or not _pays(segment):
            self._adaptive.append(segment.tobytes())
            return 0
        table = stored_counts(np.bincount(segment))
        self._tables.append(table.tobytes())
        model = self._stream.model.Categorical(probabilities(table), perfect=False)
        self._range.encode(segment.astype(np.int32), model)  # type: ignore[union-attr]
        return len(table)

    def finish(self) -> tuple[bytes, bytes, bytes]:
        """The LZMA segments (joined), the frequencies, and the words of the range coder, each as bytes."""
        words = self._range.get_compressed().astype("<u4").tobytes() if self._range and self._tables else b""
        return pack(b"".join(self._adaptive)), pack(b"".join(self._tables)), words


class Decoder:
    """Decodes the segments in the order in which `Encoder` encoded them.

    Args:
        parts: the three parts of `Encoder.finish`.
        adaptive_bytes: size in bytes of the first part, unpacked.
        table_bytes: size in bytes of the second part, unpacked.

    Raises:
        CodedError: the parts are damaged.
        MissingExtra: a segment is range coded and constriction is not installed.
    """

    def __init__(self, parts: tuple[bytes, bytes, bytes], adaptive_bytes: int, table_bytes: int) -> None:
        adaptive, tables, words = parts
        self._adaptive = np.frombuffer(unpack(adaptive, adaptive_bytes), np.uint8)
        self._tables = np.frombuffer(unpack(tables, table_bytes), np.uint8)
        if len(words) % 4:
            raise CodedError("its range-coded bytes are truncated.")
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
        except (ValueError, AssertionError) as error:  # the library raises these for invalid words
            raise CodedError(f"its range-coded bytes are damaged ({error}).") from error
        return whole

    def check_end(self) -> None:
        """Check that all bytes were decoded.

        Raises:
            CodedError: bytes are left.
        """
        words_left = self._range is not None and not (self._table_at and self._range.maybe_exhausted())
        if words_left or self._adaptive_at != len(self._adaptive) or self._table_at != len(self._tables):
            raise CodedError("it has more coded bytes than its tensors need.")


def _pays(segment: Bytes) -> bool:
    """Whether the range coder, with its stored frequencies, is estimated to need fewer bits than LZMA."""
    if not len(segment):
        return False
    bits = entropy(segment)
    table = SEGMENT_BITS + TABLE_BITS * (int(segment.max()) + 1)
    return len(segment) * (min(8.0, bits + ADAPTIVE_LOSS) - bits) > table

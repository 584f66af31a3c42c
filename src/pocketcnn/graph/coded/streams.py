"""Byte streams compressed with LZMA from the standard library."""

import lzma
from collections.abc import Mapping, Sequence

from pocketcnn.errors import PocketcnnError

Filters = Sequence[Mapping[str, int]]


class CodedError(PocketcnnError):
    """Coded bytes that cannot be decoded to a network, or tensors that cannot be encoded."""


SYMBOLS: Filters = (
    {
        "id": lzma.FILTER_LZMA2,
        "preset": 6,
        "mode": lzma.MODE_NORMAL,
        "mf": lzma.MF_HC4,
        "nice_len": 273,
        "depth": 2,
        "dict_size": 1 << 16,
        "lc": 0,
        "lp": 0,
        "pb": 0,
    },
)
"""Settings for nearly independent bytes: indices, gaps, bytes of floating-point numbers.

Without context bits (lc = lp = pb = 0) LZMA's literal coder is an adaptive range coder of single bytes. A more thorough
search for matches took five times as long and saved nothing, since such data repeats only by chance.
"""

TEXT: Filters = (
    {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 22, "lc": 3, "lp": 0, "pb": 0},
)
"""Settings for JSON."""


def pack(data: bytes, filters: Filters = SYMBOLS) -> bytes:
    """`data` compressed; empty for empty data."""
    return lzma.compress(data, lzma.FORMAT_RAW, filters=filters) if data else b""


def unpack(data: bytes, size: int, filters: Filters = SYMBOLS) -> bytes:
    """The `size` bytes that `data` was packed from; no more than `size` bytes are ever decompressed.

    Raises:
        CodedError: `data` is damaged, or unpacks to another number of bytes.
    """
    if not size and not data:
        return b""
    decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)
    try:
        found = decoder.decompress(data, max_length=size)
        more = b"" if decoder.eof else decoder.decompress(b"", max_length=1)
    except (lzma.LZMAError, EOFError) as error:
        raise CodedError(f"its coded bytes are damaged ({error}). Download or create the file again.") from error
    if len(found) != size or more or not decoder.eof or decoder.unused_data:
        raise CodedError("its coded bytes are truncated or damaged. Download or create the file again.")
    return found

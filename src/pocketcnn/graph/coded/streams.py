"""LZMA from the standard library: what needs no library to be read."""

import lzma
from collections.abc import Mapping, Sequence

from pocketcnn.errors import PocketcnnError

Filters = Sequence[Mapping[str, int]]


class CodedError(PocketcnnError):
    """Coded bytes that do not describe a network, or tensors that are too many to be coded."""


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
"""For streams of bytes that tell little about each other: indices, gaps, the bytes of floating-point numbers.

With no context bits (lc = lp = pb = 0) LZMA's literal coder is an adaptive range coder of single bytes. Looking hard for
matches, of which there are none but by chance, would take five times as long and was found to save nothing.
"""

TEXT: Filters = (
    {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 22, "lc": 3, "lp": 0, "pb": 0},
)
"""For JSON."""


def pack(data: bytes, filters: Filters = SYMBOLS) -> bytes:
    """`data` without redundancy; nothing for nothing."""
    return lzma.compress(data, lzma.FORMAT_RAW, filters=filters) if data else b""


def unpack(data: bytes, size: int, filters: Filters = SYMBOLS) -> bytes:
    """The `size` bytes that `data` was packed from; never more than these are made.

    Raises:
        CodedError: `data` is damaged, or stands for another number of bytes.
    """
    if not size and not data:
        return b""
    decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)
    try:
        found = decoder.decompress(data, max_length=size)
        more = b"" if decoder.eof else decoder.decompress(b"", max_length=1)
    except (lzma.LZMAError, EOFError) as error:
        raise CodedError(f"its coded bytes are damaged ({error}). Fetch or make it again.") from error
    if len(found) != size or more or not decoder.eof or decoder.unused_data:
        raise CodedError("its coded bytes are cut off or damaged. Fetch or make it again.")
    return found

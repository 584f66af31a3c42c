"""The block of bytes that a coded model file holds: what is in it, in which order, and the checks of a stranger's one.

    checksum | sizes of the head, packed and as text | head | LZMA's segments | frequencies | range-coded segments

The head is the JSON of an uncoded file's header, and the forms of the tensors in the order in which the graph's nodes
name them, so that no name is stored twice. Then come the segments (see `entropy`): gaps and symbols of each tensor, and of
each type of numbers the whole values, split into planes of their bytes, because the sign and exponent of weights take few
values and the rest all of them.
"""

import json
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError
from torch import Tensor

from pocketcnn.graph.coded.encodings import (
    DTYPES,
    LARGEST_PALETTE,
    NAMES,
    Bytes,
    EncodedTensor,
    Encoding,
    Words,
    decode_tensor,
    smallest,
    values_at,
)
from pocketcnn.graph.coded.entropy import Coding, Decoder, Encoder
from pocketcnn.graph.coded.streams import TEXT, CodedError, pack, unpack

MAX_DECODED_BYTES = 2**30
"""Of all tensors together: a small block must not fill the memory of whoever opens it."""

MAX_HEAD_BYTES = 32 * 2**20
MAX_TENSORS = 100_000
MAX_SEGMENTS = 2 * MAX_TENSORS + sum(dtype.itemsize for dtype in DTYPES.values())
_CHECKSUM, _SIZES = struct.Struct("<I"), struct.Struct("<II")
_PREFIX_BYTES = _CHECKSUM.size + _SIZES.size
_SEPARATOR = "\0"  # in no JSON text

Count = Annotated[StrictInt, Field(ge=0, le=MAX_DECODED_BYTES)]
Symbols = Annotated[StrictInt, Field(ge=0, le=LARGEST_PALETTE)]
Row = tuple[
    Literal["dense", "sparse", "steps"],
    Literal["F32", "F16", "BF16", "F64", "I64", "I32", "I16", "I8", "U8", "BOOL"],
    Annotated[tuple[Count, ...], Field(max_length=8)],
    Symbols,
    Count,
]


class _Table(BaseModel):
    """The forms of the tensors, the frequencies stored for each segment, and what the rest of the block is.

    `sizes` are the bytes of LZMA's segments and of the frequencies, before and after they were packed, and `checksum` is
    that of all segments: another version of the range coder that reads them differently is found out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tensors: Annotated[tuple[Row, ...], Field(max_length=MAX_TENSORS)]
    frequencies: Annotated[tuple[Symbols, ...], Field(max_length=MAX_SEGMENTS)]
    sizes: tuple[Count, Count, Count, Count]
    checksum: Annotated[StrictInt, Field(ge=0, lt=2**32)]


def pack_network(header: str, tensors: Sequence[Tensor], coding: Coding = "lzma") -> tuple[bytes, Coding]:
    """One block of bytes for the JSON header of a network and its tensors, in an order that the reader knows.

    Also the coding that is needed to read it: where nothing gains by the range coder it is ``lzma``.

    Raises:
        CodedError: a tensor of a type that no model file holds, or more than `MAX_DECODED_BYTES` in all.
        MissingExtra: the library of the coding is not installed.
    """
    for tensor in tensors:
        if tensor.dtype not in NAMES:
            raise CodedError(f"a tensor is {tensor.dtype}, which a coded file does not hold.")
    _check_total(sum(tensor.numel() * tensor.dtype.itemsize for tensor in tensors))
    stored = [smallest(tensor) for tensor in tensors]
    encoder, checksum, frequencies = Encoder(coding), 0, []
    for segment in _segments(stored):
        frequencies.append(encoder.add(segment))
        checksum = zlib.crc32(segment.tobytes(), checksum)
    adaptive, tables, words = encoder.finish()
    adaptive_bytes = sum(len(s) for s, n in zip(_segments(stored), frequencies, strict=True) if not n)
    table = {
        "tensors": [(f.name, f.dtype, f.shape, f.palette, f.gaps) for f in (part.encoding for part in stored)],
        "frequencies": _without_last_zeros(frequencies),
        "sizes": [adaptive_bytes, len(adaptive), sum(frequencies), len(tables)],
        "checksum": checksum,
    }
    text = f"{header}{_SEPARATOR}{json.dumps(table, separators=(',', ':'))}".encode()
    head = pack(text, TEXT)
    body = b"".join((_SIZES.pack(len(head), len(text)), head, adaptive, tables, words))
    return _CHECKSUM.pack(zlib.crc32(body)) + body, "range" if words else "lzma"


def unpack_network(data: bytes) -> tuple[str, list[Tensor]]:
    """The header and the tensors that `pack_network` was given.

    Raises:
        CodedError: the block is cut off, damaged, or describes what cannot be.
        MissingExtra: the library that reads it is not installed.
    """
    if len(data) < _PREFIX_BYTES:
        raise CodedError("its coded bytes are cut off. Fetch or make it again.")
    (checksum,) = _CHECKSUM.unpack_from(data)
    head_bytes, text_bytes = _SIZES.unpack_from(data, _CHECKSUM.size)
    if zlib.crc32(data[_CHECKSUM.size :]) != checksum:
        raise CodedError("its coded bytes are cut off or damaged: their checksum is wrong. Fetch or make it again.")
    if text_bytes > MAX_HEAD_BYTES:
        raise CodedError(f"its header of {text_bytes} bytes is too large.")
    start = _PREFIX_BYTES + head_bytes
    header, table = _head(unpack(data[_PREFIX_BYTES:start], text_bytes, TEXT))
    adaptive_bytes, adaptive, table_bytes, tables = table.sizes
    if start + adaptive + tables > len(data):
        raise CodedError("its coded bytes are not as many as its header says.")
    middle, end = start + adaptive, start + adaptive + tables
    encodings = [Encoding(*row) for row in table.tensors]
    for encoding in encodings:
        _check_encoding(encoding)
    _check_total(sum(encoding.size * encoding.item_bytes for encoding in encodings))
    decoder = Decoder((data[start:middle], data[middle:end], data[end:]), adaptive_bytes, table_bytes)
    segments = _Segments(decoder, table)
    tensors = _tensors(encodings, segments)
    segments.check_end()
    return header, tensors


class _Segments:
    """Takes segment after segment from a decoder, with the frequencies that the table names, and adds up their checksum."""

    def __init__(self, decoder: Decoder, table: _Table) -> None:
        self._decoder, self._table, self._frequencies, self._checksum = decoder, table, iter(table.frequencies), 0

    def take(self, size: int) -> Bytes:
        segment = self._decoder.take(size, next(self._frequencies, 0))
        self._checksum = zlib.crc32(segment.tobytes(), self._checksum)
        return segment

    def check_end(self) -> None:
        self._decoder.check_end()
        if next(self._frequencies, None) is not None:
            raise CodedError("it has more frequencies than segments.")
        if self._checksum != self._table.checksum:
            raise CodedError(
                "its coded bytes are not read as they were written: its second checksum is wrong. Was it written with a "
                "version of constriction that codes differently?"
            )


def _head(text: bytes) -> tuple[str, _Table]:
    try:
        header, _, table = text.decode("utf-8").partition(_SEPARATOR)
        return header, _Table.model_validate_json(table)
    except UnicodeDecodeError as error:
        raise CodedError(f"its header is not text: {error}.") from error
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise CodedError(f"its table of tensors is wrong at {place or 'its start'}: {problem['msg']}.") from error


def _segments(stored: Sequence[EncodedTensor]) -> Iterator[Bytes]:
    """Gaps and symbols of each tensor that has them, then the planes of whole values of each type."""
    for part in stored:
        if part.encoding.name == "sparse":
            yield part.gaps
        if part.encoding.has_symbols:
            yield part.symbols
    for dtype in DTYPES:
        parts = [part.words for part in stored if part.encoding.dtype == dtype and len(part.words)]
        if parts:
            yield from np.concatenate(parts).view(np.uint8).reshape(-1, DTYPES[dtype].itemsize).T


def _tensors(encodings: Sequence[Encoding], segments: _Segments) -> list[Tensor]:
    gaps, symbols, counts = [], [], []
    for encoding in encodings:
        tensor_gaps = segments.take(encoding.gaps) if encoding.name == "sparse" else np.zeros(0, np.uint8)
        count = values_at(tensor_gaps) if encoding.name == "sparse" else encoding.size
        gaps.append(tensor_gaps)
        counts.append(count)
        symbols.append(segments.take(count) if encoding.has_symbols else np.zeros(0, np.uint8))
    words: dict[str, list[Words]] = {}
    for dtype in DTYPES:
        needed = [
            encoding.words(n) if encoding.dtype == dtype else 0 for encoding, n in zip(encodings, counts, strict=True)
        ]
        words[dtype] = np.split(_whole_values(dtype, sum(needed), segments), np.cumsum(needed))
    tensors = []
    for index, encoding in enumerate(encodings):
        try:
            tensors.append(decode_tensor(encoding, gaps[index], symbols[index], words[encoding.dtype][index]))
        except ValueError as error:
            raise CodedError(f"a tensor has {error}.") from error
    return tensors


def _whole_values(dtype: str, count: int, segments: _Segments) -> Words:
    item_bytes = DTYPES[dtype].itemsize
    planes = [segments.take(count) for _ in range(item_bytes)] if count else [np.zeros(0, np.uint8)] * item_bytes
    return np.ascontiguousarray(np.stack(planes, axis=1)).reshape(-1).view(f"<u{item_bytes}")


def _check_encoding(encoding: Encoding) -> None:
    if encoding.name == "steps" and (encoding.dtype != "F32" or encoding.palette):
        raise CodedError(f"a tensor of {encoding.dtype} is said to be in steps.")
    if encoding.palette and encoding.item_bytes == 1:
        raise CodedError(f"a tensor of {encoding.dtype} has a palette.")
    if encoding.gaps > (encoding.size if encoding.name == "sparse" else 0):
        raise CodedError(f"a {encoding.name} tensor of {encoding.size} values has {encoding.gaps} gaps.")


def _check_total(size: int) -> None:
    if size > MAX_DECODED_BYTES:
        raise CodedError(f"its tensors have {size} bytes; coded files hold up to {MAX_DECODED_BYTES}.")


def _without_last_zeros(frequencies: Sequence[int]) -> Sequence[int]:
    used = [place for place, count in enumerate(frequencies) if count]
    return frequencies[: used[-1] + 1] if used else ()

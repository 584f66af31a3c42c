"""The container format of a coded model file, and the validation of a block from an untrusted source.

    checksum | sizes of the header, packed and unpacked | header | LZMA segments | frequencies | range-coded segments

The header is the JSON header of an uncoded file and the encodings of the tensors, in the order in which the graph's nodes
refer to them, so that no name is stored twice. The segments (see `entropy`) are the gaps and symbols of each tensor, and for
each dtype the remaining values, split into byte planes: sign and exponent bytes of weights have low entropy, mantissa bytes
high entropy.
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
"""Limit for the decoded size of all tensors together, against decompression bombs."""

MAX_HEAD_BYTES = 32 * 2**20
MAX_TENSORS = 100_000
MAX_SEGMENTS = 2 * MAX_TENSORS + sum(dtype.itemsize for dtype in DTYPES.values())
_CHECKSUM, _SIZES = struct.Struct("<I"), struct.Struct("<II")
_PREFIX_BYTES = _CHECKSUM.size + _SIZES.size
_SEPARATOR = "\0"  # does not occur in JSON

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
    """The encodings of the tensors, the number of frequencies stored for each segment, sizes and a checksum.

    `sizes` are the bytes of the LZMA segments and of the frequencies, unpacked and packed. `checksum` covers the decoded
    segments: it detects a version of the range coder that decodes differently.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tensors: Annotated[tuple[Row, ...], Field(max_length=MAX_TENSORS)]
    frequencies: Annotated[tuple[Symbols, ...], Field(max_length=MAX_SEGMENTS)]
    sizes: tuple[Count, Count, Count, Count]
    checksum: Annotated[StrictInt, Field(ge=0, lt=2**32)]


def pack_network(header: str, tensors: Sequence[Tensor], coding: Coding = "lzma") -> tuple[bytes, Coding]:
    """Encode the JSON header and the tensors of a network, in the order of `tensor_names`, as one block of bytes.

    Returns:
        The block, and the coding that is needed to read it: ``lzma`` if no segment is smaller with the range coder.

    Raises:
        CodedError: a tensor has a dtype that model files do not support, or all together exceed `MAX_DECODED_BYTES`.
        MissingExtra: the library for the coding is not installed.
    """
    for tensor in tensors:
        if tensor.dtype not in NAMES:
            raise CodedError(f"a tensor is {tensor.dtype}; coded files do not support this dtype.")
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
    """Decode a block of `pack_network` to the JSON header and the tensors.

    Raises:
        CodedError: the block is truncated, damaged or inconsistent.
        MissingExtra: the library that decodes it is not installed.
    """
    if len(data) < _PREFIX_BYTES:
        raise CodedError("its coded bytes are truncated. Download or create the file again.")
    (checksum,) = _CHECKSUM.unpack_from(data)
    head_bytes, text_bytes = _SIZES.unpack_from(data, _CHECKSUM.size)
    if zlib.crc32(data[_CHECKSUM.size :]) != checksum:
        raise CodedError("its coded bytes are truncated or damaged: wrong checksum. Download or create the file again.")
    if text_bytes > MAX_HEAD_BYTES:
        raise CodedError(f"its header has {text_bytes} bytes, which is too large.")
    start = _PREFIX_BYTES + head_bytes
    header, table = _head(unpack(data[_PREFIX_BYTES:start], text_bytes, TEXT))
    adaptive_bytes, adaptive, table_bytes, tables = table.sizes
    if start + adaptive + tables > len(data):
        raise CodedError("its number of coded bytes differs from the one in its header.")
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
    """Reads the segments in order from a decoder and computes their checksum."""

    def __init__(self, decoder: Decoder, table: _Table) -> None:
        self._decoder, self._table, self._frequencies, self._checksum = decoder, table, iter(table.frequencies), 0

    def take(self, size: int) -> Bytes:
        segment = self._decoder.take(size, next(self._frequencies, 0))
        self._checksum = zlib.crc32(segment.tobytes(), self._checksum)
        return segment

    def check_end(self) -> None:
        self._decoder.check_end()
        if next(self._frequencies, None) is not None:
            raise CodedError("it has frequencies for more segments than there are.")
        if self._checksum != self._table.checksum:
            raise CodedError(
                "its segments were decoded to other values than were encoded: wrong checksum. It may have been written with an "
                "incompatible version of the library constriction."
            )


def _head(text: bytes) -> tuple[str, _Table]:
    try:
        header, _, table = text.decode("utf-8").partition(_SEPARATOR)
        return header, _Table.model_validate_json(table)
    except UnicodeDecodeError as error:
        raise CodedError(f"its header is not UTF-8 text: {error}.") from error
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise CodedError(f"its table of tensors is invalid at {place or 'its start'}: {problem['msg']}.") from error


def _segments(stored: Sequence[EncodedTensor]) -> Iterator[Bytes]:
    """Gaps and symbols of each tensor that has them, then the byte planes of the remaining values of each dtype."""
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
        raise CodedError(f"a tensor of {encoding.dtype} has the encoding 'steps', which is for F32 without a palette.")
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

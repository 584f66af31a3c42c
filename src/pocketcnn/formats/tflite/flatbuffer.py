"""The FlatBuffers schema of TensorFlow Lite, from the LiteRT package, and the serialization of a model."""

from functools import cache
from importlib import import_module
from typing import Any

import flatbuffers
import numpy as np

from pocketcnn.errors import MissingExtra


@cache
def schema() -> Any:
    """The module of generated classes (``ModelT``, ``OperatorT``, …).

    Raises:
        MissingExtra: LiteRT is not installed.
    """
    try:
        return import_module("ai_edge_litert.schema_py_generated")
    except ImportError as error:
        raise MissingExtra("Writing a TensorFlow Lite file", "litert") from error


IDENTIFIER = b"TFL3"

ALIGNMENT = 16
"""Alignment of buffers in bytes, as the schema requires, because kernels read constants directly from the file."""


def serialized(model: Any, expected_bytes: int) -> bytes:
    """Serialize `model` (a ``ModelT``), whose arrays have about `expected_bytes` bytes."""
    writer = _Writer(expected_bytes + 2**16)
    writer.Finish(model.Pack(writer), file_identifier=IDENTIFIER)
    return bytes(writer.Output())


class _Writer(flatbuffers.Builder):  # type: ignore[misc]
    """Aligns buffers as the schema requires, which the generated classes do not, and writes equal arrays once."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._written: dict[tuple[str, bytes], Any] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> Any:  # noqa: N802 - overrides a method of flatbuffers
        data = x.astype(x.dtype.newbyteorder("<"), copy=False).tobytes()
        key = (x.dtype.name, data)
        if key not in self._written:
            self.StartVector(x.itemsize, x.size, ALIGNMENT if x.dtype == np.uint8 else x.itemsize)
            self.head -= len(data)
            self.Bytes[self.head : self.head + len(data)] = data
            self.vectorNumElems = x.size
            self._written[key] = self.EndVector()
        return self._written[key]

"""The FlatBuffers schema of TensorFlow Lite files, as it ships with LiteRT, and the bytes of a model."""

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
        MissingExtra: LiteRT is absent.
    """
    try:
        return import_module("ai_edge_litert.schema_py_generated")
    except ImportError as error:
        raise MissingExtra("Writing a TensorFlow Lite file", "litert") from error


IDENTIFIER = b"TFL3"

ALIGNMENT = 16
"""Bytes; the schema asks for it of every buffer, since kernels read constants where they lie in the file."""


def serialized(model: Any, expected_bytes: int) -> bytes:
    """The file of `model` (a ``ModelT``), whose arrays take about `expected_bytes`."""
    writer = _Writer(expected_bytes + 2**16)
    writer.Finish(model.Pack(writer), file_identifier=IDENTIFIER)
    return bytes(writer.Output())


class _Writer(flatbuffers.Builder):  # type: ignore[misc]
    """Aligns buffers as the schema asks, which the generated classes do not, and writes equal arrays once."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._written: dict[tuple[str, bytes], Any] = {}

    def CreateNumpyVector(self, x: np.ndarray) -> Any:  # noqa: N802 - the name that the generated classes call
        data = x.astype(x.dtype.newbyteorder("<"), copy=False).tobytes()
        key = (x.dtype.name, data)
        if key not in self._written:
            self.StartVector(x.itemsize, x.size, ALIGNMENT if x.dtype == np.uint8 else x.itemsize)
            self.head -= len(data)
            self.Bytes[self.head : self.head + len(data)] = data
            self.vectorNumElems = x.size
            self._written[key] = self.EndVector()
        return self._written[key]

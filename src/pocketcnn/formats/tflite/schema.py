"""The FlatBuffers schema of TensorFlow Lite files, as generated classes that ship with the LiteRT runtime."""

from functools import cache
from importlib import import_module
from typing import Any

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

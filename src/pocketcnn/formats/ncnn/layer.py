"""The two files of ncnn: a layer is a line of the ``.param`` file, and its weights are consecutive in the ``.bin`` file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

MAGIC = "7767517"
"""First line of a ``.param`` file."""

INT8_TAG = 0x000D4B38
"""Tag of int8 weights; the tag of float32 weights is 0."""

ALIGNMENT = 4
"""Alignment of a tagged blob in bytes."""

ARRAY_KEY = -23300
"""The key of an array parameter is this minus its id."""

Param = int | float | Sequence[int] | Sequence[float]
Params = Mapping[int, Param]
Array = npt.NDArray[np.float32] | npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Blob:
    """One array of weights. A `tagged` one begins with a tag for its dtype; the others are always float32."""

    values: Array
    tagged: bool

    def parts(self) -> tuple[bytes, bytes, bytes]:
        """Tag, values and padding, as in the file."""
        data = np.ascontiguousarray(self.values)
        tag = INT8_TAG.to_bytes(4, "little") if data.dtype == np.int8 else bytes(4)
        return tag if self.tagged else b"", data.tobytes(), bytes(-data.nbytes % ALIGNMENT)


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: type, name, input and output blobs, parameters by id, and weights."""

    type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: Params = field(default_factory=dict)
    weights: tuple[Blob, ...] = ()

    def line(self) -> str:
        """Its line of the ``.param`` file."""
        head = f"{self.type:<24} {self.name:<24} {len(self.inputs)} {len(self.outputs)}"
        params = (_param(key, value) for key, value in self.params.items())
        return " ".join((head, *self.inputs, *self.outputs, *params))


def tagged(values: npt.NDArray[Any]) -> Blob:
    """A weight blob: int8 unchanged, any other dtype as float32."""
    return Blob(values if values.dtype == np.int8 else values.astype(np.float32, copy=False), tagged=True)


def untagged(values: npt.ArrayLike) -> Blob:
    """A blob without tag, float32: bias, scales or slopes."""
    return Blob(np.asarray(values, np.float32), tagged=False)


def param_text(layers: Sequence[Layer]) -> str:
    """The ``.param`` file."""
    blobs = sum(len(layer.outputs) for layer in layers)
    return "\n".join((MAGIC, f"{len(layers)} {blobs}", *(layer.line() for layer in layers), ""))


def _param(key: int, value: Param) -> str:
    if isinstance(value, int | float):
        return f"{key}={_number(value)}"
    return f"{ARRAY_KEY - key}={','.join((str(len(value)), *map(_number, value)))}"


def _number(value: float) -> str:
    """At most 15 characters, the limit of ncnn's parser; 9 digits represent a float32 exactly."""
    return str(value) if isinstance(value, int) else f"{value:.8e}"

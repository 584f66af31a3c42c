"""ncnn's two files: a layer is a line of the ``.param`` file, and its weights follow each other in the ``.bin`` file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

MAGIC = "7767517"
"""First line of a ``.param`` file."""

INT8_TAG = 0x000D4B38
"""Stands before int8 weights; before float32 weights stands 0."""

ALIGNMENT = 4
"""Bytes of which a tagged blob takes a whole multiple."""

ARRAY_KEY = -23300
"""An array's key is this less its number."""

Param = int | float | Sequence[int] | Sequence[float]
Params = Mapping[int, Param]
Array = npt.NDArray[np.float32] | npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Blob:
    """One array of weights; only a `tagged` one says what type it is, the others are float32 by their place."""

    values: Array
    tagged: bool

    def parts(self) -> tuple[bytes, bytes, bytes]:
        """Tag, values and padding, as they stand in the file."""
        data = np.ascontiguousarray(self.values)
        tag = INT8_TAG.to_bytes(4, "little") if data.dtype == np.int8 else bytes(4)
        return tag if self.tagged else b"", data.tobytes(), bytes(-data.nbytes % ALIGNMENT)


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: its type, what it reads and makes, and parameters by ncnn's numbers for them."""

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
    """A weight: int8 as it is, anything else as float32."""
    return Blob(values if values.dtype == np.int8 else values.astype(np.float32, copy=False), tagged=True)


def untagged(values: npt.ArrayLike) -> Blob:
    """A bias, a scale, a slope: float32."""
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
    """At most 15 characters, all that ncnn reads of a number; 9 digits are enough for a float32."""
    return str(value) if isinstance(value, int) else f"{value:.8e}"

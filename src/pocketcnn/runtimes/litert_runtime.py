"""LiteRT (TensorFlow Lite) on the CPU, with its default XNNPACK delegate."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pocketcnn.errors import MissingExtra, PocketcnnError, UsageError
from pocketcnn.runtimes.base import Deployment, FloatArray, Numerics, SessionInfo, why_absent

if TYPE_CHECKING:
    from pocketcnn.graph.network import GraphNetwork

IDENTIFIER = b"TFL3"
"""Identifier in bytes 4 to 8 of every TensorFlow Lite file."""


class LiteRtRuntime:
    """Runs .tflite files, float32 or int8, with float32 input and output. Artefact: the path of one, or its bytes."""

    name = "litert"
    distribution = "ai-edge-litert"
    library = "ai_edge_litert.interpreter"
    suffix = ".tflite"
    companions: tuple[str, ...] = ()
    numerics: tuple[Numerics, ...] = ("float32", "int8")
    deployment = Deployment(channels_last=True)

    def available(self) -> str | None:
        return why_absent(self.library.partition(".")[0], "litert")  # finding a sub-module would import its parent

    def write(self, network: "GraphNetwork", path: Path) -> Path:
        from pocketcnn.formats.tflite import write_tflite

        write_tflite(path, network.graph)
        return path

    def build(self, artefact: object, *, threads: int) -> "LiteRtSession":
        if not isinstance(artefact, str | os.PathLike | bytes):
            raise UsageError(
                f"The runtime litert takes a .tflite file, not a {type(artefact).__name__}. "
                "Export the network first: pocketcnn.export(network, to='litert', out='model.tflite')."
            )
        if not isinstance(artefact, bytes) and not Path(artefact).is_file():
            raise UsageError(f"There is no file {os.fspath(artefact)}.")
        if self.available() is not None:
            raise MissingExtra("The runtime litert", "litert")
        return LiteRtSession(artefact, threads)


class LiteRtSession:
    """One interpreter. The interpreter takes images (N, H, W, C); the session converts from (N, C, H, W).

    Buffers are allocated for one batch size; a batch of another size allocates them again, which takes time.
    """

    def __init__(self, artefact: str | os.PathLike[str] | bytes, threads: int) -> None:
        self.info = SessionInfo("litert", version("ai-edge-litert"), threads)
        where = "the TensorFlow Lite model" if isinstance(artefact, bytes) else os.fspath(artefact)
        data = artefact if isinstance(artefact, bytes) else Path(artefact).read_bytes()
        interpreter = _interpreter(data, threads, where)
        image = _only(interpreter.get_input_details(), "input", where)
        scores = _only(interpreter.get_output_details(), "output", where)
        if len(image["shape"]) != 4:
            raise PocketcnnError(
                f"The input {image['name']!r} of {where} has the shape {tuple(image['shape'])}; it must be (N, H, W, C)."
            )
        _, height, width, channels = map(int, image["shape"])
        self.input_shape: tuple[int | None, ...] = (None, channels, height, width)
        self._input, self._output = int(image["index"]), int(scores["index"])
        self._batch = int(image["shape"][0])
        self._interpreter: Any = interpreter

    def run(self, batch: FloatArray) -> FloatArray:
        if self._interpreter is None:
            raise PocketcnnError("This session is closed. Build another.")
        if batch.ndim != 4 or batch.shape[1:] != self.input_shape[1:] or len(batch) == 0:
            expected = ", ".join(map(str, self.input_shape[1:]))
            raise PocketcnnError(
                f"LiteRT cannot run a batch of shape {batch.shape}: the network takes (N, {expected})."
            )
        try:
            self._fit(len(batch))
            _channels_last(batch, self._interpreter.tensor(self._input)())
            self._interpreter.invoke()
            scores: FloatArray = self._interpreter.get_tensor(self._output)
        except (ValueError, RuntimeError) as error:
            raise PocketcnnError(f"LiteRT cannot run a batch of shape {batch.shape}: {_reason(error)}") from error
        return np.ascontiguousarray(scores.transpose(0, 3, 1, 2)) if scores.ndim == 4 else scores

    def _fit(self, batch: int) -> None:
        """Allocate the buffers for `batch` images."""
        if batch != self._batch:
            _, channels, height, width = self.input_shape
            self._batch = 0  # if the allocation fails, the next batch must try again
            self._interpreter.resize_tensor_input(self._input, (batch, height, width, channels))
            self._interpreter.allocate_tensors()
            self._batch = batch

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """No process-wide settings: the threads belong to the interpreter."""
        yield

    def close(self) -> None:
        self._interpreter = None


def _interpreter(data: bytes, threads: int, where: str) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    if data[4:8] != IDENTIFIER:
        raise PocketcnnError(f"LiteRT cannot load {where}: it is not a TensorFlow Lite file.")
    try:
        interpreter = Interpreter(model_content=data, num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise PocketcnnError(f"LiteRT cannot load {where}: {_reason(error)}") from error
    return interpreter


def _channels_last(images: FloatArray, target: FloatArray) -> None:
    """Copy (N, C, H, W) into (N, H, W, C) channel by channel, which is several times faster than a transposed copy."""
    for channel in range(images.shape[1]):
        target[..., channel] = images[:, channel]


def _only(details: Sequence[dict[str, Any]], kind: str, where: str) -> dict[str, Any]:
    """The single input or output, which must be float32."""
    if len(details) != 1:
        names = ", ".join(str(detail["name"]) for detail in details)
        raise PocketcnnError(f"{where} has {len(details)} {kind}s ({names}); it must have one.")
    (only,) = details
    if only["dtype"] is not np.float32:
        raise PocketcnnError(
            f"The {kind} {only['name']!r} of {where} is {np.dtype(only['dtype']).name}; it must be float32. "
            "Convert the model with float inputs and outputs."
        )
    return only


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())

"""OpenVINO on the CPU: the ONNX files of the default runtime, compiled by another library."""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pocketcnn.errors import MissingExtra, PocketcnnError, UsageError
from pocketcnn.runtimes.base import Deployment, FloatArray, Numerics, SessionInfo, why_absent
from pocketcnn.runtimes.machine import Machine, this_machine

if TYPE_CHECKING:
    from pocketcnn.graph.network import GraphNetwork


class OpenVinoRuntime:
    """Runs ONNX files, float32 and int8 (QDQ). Artefact: the path of an .onnx file, or its bytes."""

    name = "openvino"
    distribution = "openvino"
    library = "openvino"
    suffix = ".onnx"
    companions: tuple[str, ...] = ()
    numerics: tuple[Numerics, ...] = ("float32", "int8")
    deployment = Deployment(
        note="Compile it with INFERENCE_PRECISION_HINT=f32: on some processors OpenVINO computes in bfloat16 otherwise.",
        int8_note="On x86 processors without VNNI (most before 2020) OpenVINO multiplies int8 by uint8 in 16 bits, which "
        "can overflow: set LP_TRANSFORMS_MODE=NO there. pocketcnn's own runtime sees to it.",
    )

    def available(self) -> str | None:
        return why_absent(self.library, "openvino")

    def write(self, network: "GraphNetwork", path: Path) -> Path:
        from pocketcnn.formats.onnx.writer import write_onnx

        write_onnx(path, network.graph, names="full")  # OpenVINO does not know the functions of a model
        return path

    def build(self, artefact: object, *, threads: int) -> "OpenVinoSession":
        if not isinstance(artefact, str | os.PathLike | bytes):
            raise UsageError(
                f"The runtime openvino takes an .onnx file, not a {type(artefact).__name__}. "
                "Export the network first: pocketcnn.export(network, to='openvino', out='model.onnx')."
            )
        if not isinstance(artefact, bytes) and not Path(artefact).is_file():
            raise UsageError(f"There is no file {os.fspath(artefact)}.")
        if self.available() is not None:
            raise MissingExtra("The runtime openvino", "openvino")
        return OpenVinoSession(artefact if isinstance(artefact, bytes) else Path(artefact), threads)


class OpenVinoSession:
    """One compiled model with one stream, so that all threads work on one image after another."""

    def __init__(self, artefact: Path | bytes, threads: int) -> None:
        import openvino

        where = "the ONNX model" if isinstance(artefact, bytes) else str(artefact)
        settings = session_settings(this_machine())
        self.info = SessionInfo("openvino", openvino.__version__.partition("-")[0], threads, settings)
        core = openvino.Core()
        try:
            network = _read(core, artefact)
            self.input_shape = _image_input(network.inputs, where)
            _only(network.outputs, "output", where)
            self._model: Any = _compiled(core, network, threads)
        except PocketcnnError:
            raise
        except Exception as error:  # RuntimeError and what pybind11 makes of C++ exceptions
            raise PocketcnnError(f"OpenVINO cannot load {where}: {_reason(error)}") from error

    def run(self, batch: FloatArray) -> FloatArray:
        if self._model is None:
            raise PocketcnnError("This session is closed. Build another.")
        try:
            scores: FloatArray = self._model(batch)[0]
        except Exception as error:
            raise PocketcnnError(f"OpenVINO cannot run a batch of shape {batch.shape}: {_reason(error)}") from error
        return scores

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Nothing to hold: the threads belong to the compiled model."""
        yield

    def close(self) -> None:
        self._model = None


def all_outputs(model: bytes, batch: FloatArray) -> list[FloatArray]:
    """Every output, in order, of an ONNX model that shows inner values too, run as `OpenVinoSession` would run it."""
    import openvino

    core = openvino.Core()
    results = _compiled(core, _read(core, model), 1)(batch)
    return [results[index] for index in range(len(results))]


def compiled_model(model: bytes, threads: int, settings: Mapping[str, str]) -> Any:
    """An ONNX model compiled as `OpenVinoSession` would, with further settings."""
    import openvino

    core = openvino.Core()
    return _compiled(core, _read(core, model), threads, settings)


def _compiled(core: Any, network: Any, threads: int, settings: Mapping[str, str] = MappingProxyType({})) -> Any:
    every = {**session_settings(this_machine()), "INFERENCE_NUM_THREADS": threads, **settings}
    return core.compile_model(network, "CPU", every)


def session_settings(machine: Machine) -> Mapping[str, str]:
    """What a session sets beside its number of threads, on `machine`.

    Without VNNI, x86 multiplies uint8 activations by int8 weights with an instruction that adds pairs of products in
    int16 and saturates, and OpenVINO has no integer kernels that avoid it: with full-range weights the answers are wrong
    by as much as their range. Low-precision transformations are off there, so an int8 network is computed with its own
    integers, but in float arithmetic: exact, and slower.
    """
    inexact = machine.is_x86 and not machine.has_vnni
    return {
        "INFERENCE_PRECISION_HINT": "f32",  # some CPUs compute float networks in bfloat16 otherwise, to 3 digits
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "ENABLE_CPU_PINNING": "NO",  # a thread that is bound to a core waits there for whoever else uses it
        **({"LP_TRANSFORMS_MODE": "NO"} if inexact else {}),
    }


def _read(core: Any, artefact: Path | bytes) -> Any:
    """The model, with its functions written out if it has any: OpenVINO does not know them."""
    try:
        return core.read_model(artefact)
    except RuntimeError:
        import onnx  # seldom needed: `OpenVinoRuntime.write` leaves no functions
        import onnx.inliner

        try:
            data = artefact if isinstance(artefact, bytes) else artefact.read_bytes()
            proto = onnx.ModelProto.FromString(data)
        except Exception:  # protobuf's error has no stable place; OpenVINO says better what is wrong with the file
            proto = None
        if proto is None or not proto.functions:
            raise
        return core.read_model(onnx.inliner.inline_local_functions(proto).SerializeToString())


def _image_input(inputs: Sequence[Any], where: str) -> tuple[int | None, ...]:
    """The shape (N, C, H, W) of the one input; an axis that is not fixed is free (None)."""
    only = _only(inputs, "input", where)
    kind, shape = only.get_element_type().get_type_name(), only.get_partial_shape()
    if kind != "f32" or shape.rank.is_dynamic or len(shape) != 4:
        raise PocketcnnError(
            f"The input {_name(only)!r} of {where} is a tensor of {kind} and shape {shape}; "
            "images need a float32 tensor (N, C, H, W)."
        )
    return tuple(axis.get_length() if axis.is_static else None for axis in shape)


def _only(values: Sequence[Any], kind: str, where: str) -> Any:
    if len(values) != 1:
        names = ", ".join(map(_name, values))
        raise PocketcnnError(
            f"{where} has {len(values)} {kind}s ({names}); a classifier has one. Export it with a single {kind}."
        )
    return values[0]


def _name(value: Any) -> str:
    return min(value.get_names(), default="unnamed")


def _reason(error: Exception) -> str:
    """What OpenVINO says, without the places in its source that it begins with, on one line."""
    lines = [line.strip() for line in str(error).splitlines()]
    reason = [line for line in lines if line and not re.match(r"Exception from |Check '|FrontEnd API failed", line)]
    return " ".join(reason) or type(error).__name__

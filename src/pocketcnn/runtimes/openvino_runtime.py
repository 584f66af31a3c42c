"""OpenVINO on the CPU, which runs the same ONNX files as the default runtime."""

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
    """Runs ONNX files, float32 or int8 (QDQ). Artefact: the path of an .onnx file, or its bytes."""

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

        write_onnx(path, network.graph, names="full")  # OpenVINO does not support model-local functions
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
    """One compiled model with one stream: all threads work on the same image."""

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
        except Exception as error:  # pybind11 translates C++ exceptions to several Python types
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
        """No process-wide settings: the threads belong to the compiled model."""
        yield

    def close(self) -> None:
        self._model = None


def all_outputs(model: bytes, batch: FloatArray) -> list[FloatArray]:
    """All outputs, in order, of an ONNX model with intermediate values as outputs, run as by `OpenVinoSession`."""
    import openvino

    core = openvino.Core()
    results = _compiled(core, _read(core, model), 1)(batch)
    return [results[index] for index in range(len(results))]


def compiled_model(model: bytes, threads: int, settings: Mapping[str, str]) -> Any:
    """An ONNX model compiled as by `OpenVinoSession`, with additional settings."""
    import openvino

    core = openvino.Core()
    return _compiled(core, _read(core, model), threads, settings)


def _compiled(core: Any, network: Any, threads: int, settings: Mapping[str, str] = MappingProxyType({})) -> Any:
    every = {**session_settings(this_machine()), "INFERENCE_NUM_THREADS": threads, **settings}
    return core.compile_model(network, "CPU", every)


def session_settings(machine: Machine) -> Mapping[str, str]:
    """The settings of a session on `machine`, besides the number of threads.

    Without VNNI, x86 multiplies uint8 activations by int8 weights with an instruction that adds pairs of products in
    int16 with saturation. OpenVINO has no integer kernels that avoid it: with full-range weights the error of the outputs
    can be as large as their range. So low-precision transformations are disabled there, and an int8 network runs with the
    same quantized values in float arithmetic: exact, but slower.
    """
    inexact = machine.is_x86 and not machine.has_vnni
    return {
        "INFERENCE_PRECISION_HINT": "f32",  # some CPUs would compute float networks in bfloat16, about 3 digits
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": "1",
        "ENABLE_CPU_PINNING": "NO",  # a pinned thread would wait for other processes on its core
        **({"LP_TRANSFORMS_MODE": "NO"} if inexact else {}),
    }


def _read(core: Any, artefact: Path | bytes) -> Any:
    """The model, with model-local functions inlined, because OpenVINO does not support them."""
    try:
        return core.read_model(artefact)
    except RuntimeError:
        import onnx  # rarely needed: `OpenVinoRuntime.write` writes no functions
        import onnx.inliner

        try:
            data = artefact if isinstance(artefact, bytes) else artefact.read_bytes()
            proto = onnx.ModelProto.FromString(data)
        except Exception:  # protobuf's exception has no stable import path, and OpenVINO gives a better message
            proto = None
        if proto is None or not proto.functions:
            raise
        return core.read_model(onnx.inliner.inline_local_functions(proto).SerializeToString())


def _image_input(inputs: Sequence[Any], where: str) -> tuple[int | None, ...]:
    """The shape (N, C, H, W) of the single input; a dynamic axis is free (None)."""
    only = _only(inputs, "input", where)
    kind, shape = only.get_element_type().get_type_name(), only.get_partial_shape()
    if kind != "f32" or shape.rank.is_dynamic or len(shape) != 4:
        raise PocketcnnError(
            f"The input {_name(only)!r} of {where} is a tensor of {kind} and shape {shape}; "
            "it must be a float32 tensor (N, C, H, W)."
        )
    return tuple(axis.get_length() if axis.is_static else None for axis in shape)


def _only(values: Sequence[Any], kind: str, where: str) -> Any:
    if len(values) != 1:
        names = ", ".join(map(_name, values))
        raise PocketcnnError(
            f"{where} has {len(values)} {kind}s ({names}); it must have one. Export it with a single {kind}."
        )
    return values[0]


def _name(value: Any) -> str:
    return min(value.get_names(), default="unnamed")


def _reason(error: Exception) -> str:
    """OpenVINO's message on one line, without the locations in its source code."""
    lines = [line.strip() for line in str(error).splitlines()]
    reason = [line for line in lines if line and not re.match(r"Exception from |Check '|FrontEnd API failed", line)]
    return " ".join(reason) or type(error).__name__

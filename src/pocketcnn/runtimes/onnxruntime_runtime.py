"""ONNX Runtime on the CPU, the default runtime."""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnxruntime

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.runtimes.base import Deployment, FloatArray, Numerics, SessionInfo
from pocketcnn.runtimes.machine import Machine, this_machine

if TYPE_CHECKING:
    from pocketcnn.graph.network import GraphNetwork

_FATAL = 4  # ONNX Runtime's log severity; errors arrive as exceptions, warnings are not meant for users


class OnnxRuntime:
    """Runs ONNX files, float32 or int8 (QDQ). Artefact: the path of an .onnx file, or its bytes."""

    name = "onnxruntime"
    distribution = "onnxruntime"
    library = "onnxruntime"
    suffix = ".onnx"
    companions: tuple[str, ...] = ()
    numerics: tuple[Numerics, ...] = ("float32", "int8")
    deployment = Deployment()

    def available(self) -> str | None:
        return None  # onnxruntime is a required dependency

    def write(self, network: "GraphNetwork", path: Path) -> Path:
        from pocketcnn.formats.onnx.writer import write_onnx

        write_onnx(path, network.graph)
        return path

    def build(self, artefact: object, *, threads: int) -> "OnnxSession":
        if not isinstance(artefact, str | os.PathLike | bytes):
            raise UsageError(
                f"The runtime onnxruntime takes an .onnx file, not a {type(artefact).__name__}. "
                "Export the network first: pocketcnn.export(network, to='onnx', out='model.onnx')."
            )
        if not isinstance(artefact, bytes) and not Path(artefact).is_file():
            raise UsageError(f"There is no file {os.fspath(artefact)}.")
        return OnnxSession(artefact, threads)


class OnnxSession:
    """One `onnxruntime.InferenceSession`: sequential execution, all graph optimizations, `threads` intra-op threads."""

    def __init__(self, artefact: str | os.PathLike[str] | bytes, threads: int, options: Any = None) -> None:
        """`options`: for a session as it is opened elsewhere, those of ONNX Runtime; the file itself is then loaded."""
        settings = exact_int8_settings(this_machine()) if options is None else {}
        self.info = SessionInfo("onnxruntime", onnxruntime.__version__, threads, settings)
        where = "the ONNX model" if isinstance(artefact, bytes) else os.fspath(artefact)
        try:
            if options is None:
                session = _inference_session(artefact, threads, settings)
            else:
                session = onnxruntime.InferenceSession(artefact, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            raise PocketcnnError(f"ONNX Runtime cannot load {where}: {_reason(error)}") from error
        self._input, self.input_shape = _image_input(session.get_inputs(), where)
        self._outputs = [_only(session.get_outputs(), "output", where).name]
        self._session: Any = session

    def run(self, batch: FloatArray) -> FloatArray:
        if self._session is None:
            raise PocketcnnError("This session is closed. Build another.")
        try:
            scores: FloatArray = self._session.run(self._outputs, {self._input: batch})[0]
        except Exception as error:
            raise PocketcnnError(f"ONNX Runtime cannot run a batch of shape {batch.shape}: {_reason(error)}") from error
        return scores

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """No process-wide settings: the threads belong to the session."""
        yield

    def close(self) -> None:
        self._session = None


def default_options() -> Any:
    """The options of a session that is opened without any, but quiet."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL
    return options


def unoptimized() -> Any:
    """Options with which every operator computes what ONNX defines.

    Fused operators do not read all that is in a file, for example not the scale of a bias.
    """
    options = default_options()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def all_outputs(model: bytes, batch: FloatArray, options: Any = None) -> list[FloatArray]:
    """All outputs, in order, of an ONNX model with intermediate values as outputs, run as by `OnnxSession`."""
    if options is None:
        session = _inference_session(model, 1, exact_int8_settings(this_machine()))
    else:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    values: list[FloatArray] = session.run(None, {session.get_inputs()[0].name: batch})
    return values


def _inference_session(artefact: str | os.PathLike[str] | bytes, threads: int, settings: Mapping[str, str]) -> Any:
    model = artefact if isinstance(artefact, bytes) else os.fspath(artefact)
    if settings and _is_quantized(artefact):
        from pocketcnn.runtimes.onnx_unsigned import with_uint8_weights  # imports onnx, which would slow a cold start

        model = with_uint8_weights(artefact if isinstance(artefact, bytes) else Path(artefact).read_bytes())
    return onnxruntime.InferenceSession(model, session_options(threads, settings), providers=["CPUExecutionProvider"])


def _is_quantized(artefact: str | os.PathLike[str] | bytes) -> bool:
    """Whether the model is quantized: its bytes contain the name DequantizeLinear."""
    return b"DequantizeLinear" in (artefact if isinstance(artefact, bytes) else Path(artefact).read_bytes())


def exact_int8_settings(machine: Machine) -> Mapping[str, str]:
    """Session settings for exact int8 arithmetic on `machine`.

    Without VNNI, x86 multiplies uint8 activations by int8 weights with an instruction that adds pairs of products in
    int16 with saturation, so the outputs of a correct file depend on the CPU. With this setting ONNX Runtime uses uint8
    weights instead (onnxruntime_session_options_config_keys.h, kOrtSessionOptionsAvx2PrecisionMode).
    """
    return {"session.x64quantprecision": "1"} if machine.is_x86 and not machine.has_vnni else {}


def session_options(threads: int, settings: Mapping[str, str]) -> Any:
    """The options of all sessions: `threads` intra-op threads, operators in sequence."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = _FATAL
    for key, value in settings.items():
        options.add_session_config_entry(key, value)
    return options


def _image_input(inputs: Sequence[Any], where: str) -> tuple[str, tuple[int | None, ...]]:
    """The name and shape (N, C, H, W) of the single input; a symbolic or unknown axis is free (None)."""
    only = _only(inputs, "input", where)
    if only.type != "tensor(float)" or len(only.shape) != 4:
        raise PocketcnnError(
            f"The input {only.name!r} of {where} is a {only.type} of shape {only.shape}; "
            "it must be a float32 tensor (N, C, H, W)."
        )
    return only.name, tuple(axis if isinstance(axis, int) else None for axis in only.shape)


def _only(values: Sequence[Any], kind: str, where: str) -> Any:
    if len(values) != 1:
        names = ", ".join(value.name for value in values)
        raise PocketcnnError(
            f"{where} has {len(values)} {kind}s ({names}); it must have one. Export it with a single {kind}."
        )
    return values[0]


def _reason(error: Exception) -> str:
    """ONNX Runtime's message on one line, without its error code."""
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ", "", str(error))
    return " ".join(text.split())

"""The runtimes by name, and what must be known of each without loading it.

This is the single table of runtimes: targets, formats of `export`, `doctor`, `bench` and the tests of the contract follow from
it. A runtime's module is imported when it is asked for, so that naming one costs nothing.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType

from pocketcnn.errors import UsageError
from pocketcnn.runtimes.base import Numerics, Runtime


@dataclass(frozen=True, slots=True)
class RegisteredRuntime:
    """A runtime before it is loaded.

    Attributes:
        module, factory: where its `Runtime` is.
        label: what people call it, with what computes in it.
        numerics: as its `Runtime` has them; targets of this machine's CPU offer these.
        export_format: what `export` calls its file; None where nothing is deployed with it.
    """

    module: str
    factory: str
    label: str
    numerics: tuple[Numerics, ...] = ("float32", "int8")
    export_format: str | None = None


RUNTIMES: Mapping[str, RegisteredRuntime] = MappingProxyType(
    {
        "onnxruntime": RegisteredRuntime(
            "pocketcnn.runtimes.onnxruntime_runtime", "OnnxRuntime", "ONNX Runtime", export_format="onnx"
        ),
        "openvino": RegisteredRuntime(
            "pocketcnn.runtimes.openvino_runtime", "OpenVinoRuntime", "OpenVINO", export_format="openvino"
        ),
        "litert": RegisteredRuntime(
            "pocketcnn.runtimes.litert_runtime",
            "LiteRtRuntime",
            "LiteRT (TensorFlow Lite) and XNNPACK",
            export_format="litert",
        ),
        "ncnn": RegisteredRuntime("pocketcnn.runtimes.ncnn_runtime", "NcnnRuntime", "ncnn", export_format="ncnn"),
        "executorch": RegisteredRuntime(
            "pocketcnn.runtimes.executorch_runtime",
            "ExecuTorchRuntime",
            "ExecuTorch and XNNPACK",
            export_format="executorch",
        ),
        "torch": RegisteredRuntime(
            "pocketcnn.runtimes.torch_runtime", "TorchRuntime", "PyTorch, not exported", numerics=("float32",)
        ),
    }
)


def runtime_names() -> tuple[str, ...]:
    """The names that `get_runtime` takes, sorted."""
    return tuple(sorted(RUNTIMES))


def export_formats() -> Mapping[str, str]:
    """What one can export to -> the runtime whose file it is."""
    return MappingProxyType(
        {runtime.export_format: name for name, runtime in RUNTIMES.items() if runtime.export_format is not None}
    )


def get_runtime(name: str) -> Runtime:
    """The runtime called `name`, whether or not it is available here (`Runtime.available` says).

    Raises:
        UsageError: there is no such runtime; the nearest name is suggested.
    """
    if name not in RUNTIMES:
        near = difflib.get_close_matches(name, RUNTIMES, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UsageError(f"There is no runtime named {name!r}.{hint} Runtimes: {', '.join(runtime_names())}.")
    registered = RUNTIMES[name]
    runtime: Runtime = getattr(import_module(registered.module), registered.factory)()
    return runtime

"""Registry of the runtimes, with their properties that must be known without importing them.

Targets, the formats of `export`, `doctor`, `bench` and the tests of the interface are derived from this table. A runtime's
module is imported on first use.
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
    """A runtime that is not imported yet.

    Attributes:
        module, factory: module and class name of its `Runtime`.
        label: display name, with the backend.
        numerics: the precisions of its `Runtime`; targets for the CPU of this machine offer these.
        export_format: name of its file format in `export`; None if it is not used for deployment.
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
    """The names that `get_runtime` accepts, sorted."""
    return tuple(sorted(RUNTIMES))


def export_formats() -> Mapping[str, str]:
    """Name of an export format -> name of its runtime."""
    return MappingProxyType(
        {runtime.export_format: name for name, runtime in RUNTIMES.items() if runtime.export_format is not None}
    )


def get_runtime(name: str) -> Runtime:
    """The runtime `name`, also if its library is not installed (see `Runtime.available`).

    Raises:
        UsageError: there is no such runtime; the message suggests the most similar name.
    """
    if name not in RUNTIMES:
        near = difflib.get_close_matches(name, RUNTIMES, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UsageError(f"There is no runtime named {name!r}.{hint} Runtimes: {', '.join(runtime_names())}.")
    registered = RUNTIMES[name]
    runtime: Runtime = getattr(import_module(registered.module), registered.factory)()
    return runtime

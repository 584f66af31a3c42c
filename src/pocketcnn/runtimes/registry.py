"""The runtimes by name. A runtime's module is imported when it is asked for, so that naming one costs nothing."""

import difflib
from collections.abc import Mapping
from importlib import import_module

from pocketcnn.errors import UsageError
from pocketcnn.runtimes.base import Runtime

_RUNTIMES: Mapping[str, tuple[str, str]] = {
    "executorch": ("pocketcnn.runtimes.executorch_runtime", "ExecuTorchRuntime"),
    "litert": ("pocketcnn.runtimes.litert_runtime", "LiteRtRuntime"),
    "ncnn": ("pocketcnn.runtimes.ncnn_runtime", "NcnnRuntime"),
    "onnxruntime": ("pocketcnn.runtimes.onnxruntime_runtime", "OnnxRuntime"),
    "openvino": ("pocketcnn.runtimes.openvino_runtime", "OpenVinoRuntime"),
    "torch": ("pocketcnn.runtimes.torch_runtime", "TorchRuntime"),
}


def runtime_names() -> tuple[str, ...]:
    """The names that `get_runtime` takes, sorted."""
    return tuple(sorted(_RUNTIMES))


def get_runtime(name: str) -> Runtime:
    """The runtime called `name`, whether or not it is available here (`Runtime.available` says).

    Raises:
        UsageError: there is no such runtime; the nearest name is suggested.
    """
    if name not in _RUNTIMES:
        near = difflib.get_close_matches(name, _RUNTIMES, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UsageError(f"There is no runtime named {name!r}.{hint} Runtimes: {', '.join(runtime_names())}.")
    module, factory = _RUNTIMES[name]
    runtime: Runtime = getattr(import_module(module), factory)()
    return runtime

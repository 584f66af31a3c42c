"""Registry of the runtimes with a supported profiler; a profiler's module is imported on first use."""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from pocketcnn.errors import UsageError
from pocketcnn.runtimes.operator_times import Profiler

_PROFILERS: Mapping[str, str] = MappingProxyType(
    {
        "onnxruntime": "pocketcnn.runtimes.onnxruntime_profile",
        "openvino": "pocketcnn.runtimes.openvino_profile",
    }
)


def profiled_runtimes() -> tuple[str, ...]:
    """Names of the runtimes with a supported profiler."""
    return tuple(_PROFILERS)


def profiler(runtime: str) -> Profiler:
    """The profiler of a runtime.

    Raises:
        UsageError: the runtime's profiler is not supported.
    """
    if runtime not in _PROFILERS:
        raise UsageError(f"{runtime} does not report the time of each layer. Choose {' or '.join(_PROFILERS)}.")
    found: Profiler = import_module(_PROFILERS[runtime]).operator_times
    return found

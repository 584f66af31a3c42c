"""The runtimes whose own profiler tells what each operator takes, each imported when it is asked for."""

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
    """Names of the runtimes whose profiler is known here."""
    return tuple(_PROFILERS)


def profiler(runtime: str) -> Profiler:
    """The profiler of a runtime.

    Raises:
        UsageError: the runtime has none, or none that is known here.
    """
    if runtime not in _PROFILERS:
        raise UsageError(f"{runtime} does not tell the time of each layer; {' and '.join(_PROFILERS)} do.")
    found: Profiler = import_module(_PROFILERS[runtime]).operator_times
    return found

"""OpenVINO's profiler: the time of every primitive, with the name of its layer."""

import re
from collections import defaultdict

from pocketcnn.runtimes.base import FloatArray
from pocketcnn.runtimes.openvino_runtime import compiled_model
from pocketcnn.runtimes.operator_times import WARMUP, OperatorTime

_REORDER = re.compile(r"_[a-zA-Z0-9]+_[a-zA-Z0-9]+_")
"""Pattern of a change of memory layout between two layers, as in ``first_abcd_acdb_second``."""


def operator_times(model: bytes, batch: FloatArray, *, threads: int, runs: int) -> tuple[OperatorTime, ...]:
    """See `Profiler`. Primitives that are fused into others are not listed."""
    request = compiled_model(model, threads, {"PERF_COUNT": "YES"}).create_infer_request()
    samples: dict[tuple[str, str], list[float]] = defaultdict(list)
    for run in range(WARMUP + runs):
        request.infer([batch])
        for part in request.profiling_info if run >= WARMUP else ():
            if part.status == part.Status.EXECUTED:
                samples[part.node_name, f"{part.node_type} {part.exec_type}"].append(part.real_time.total_seconds())
    return tuple(
        OperatorTime.from_samples(name, kind, seconds, _origins(name, kind))
        for (name, kind), seconds in samples.items()
    )


def _origins(name: str, kind: str) -> tuple[str, ...]:
    if not kind.startswith("Reorder"):
        return (name,)
    ends = [name[found.end() :] for found in _REORDER.finditer(name)]
    return (*reversed(ends), name)

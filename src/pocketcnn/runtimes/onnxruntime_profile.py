"""ONNX Runtime's profiler: a trace of all operators of all runs, and the optimized model that identifies them."""

import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import onnx
import onnxruntime

from pocketcnn.runtimes.base import FloatArray
from pocketcnn.runtimes.machine import this_machine
from pocketcnn.runtimes.onnx_unsigned import with_uint8_weights
from pocketcnn.runtimes.onnxruntime_runtime import exact_int8_settings, session_options
from pocketcnn.runtimes.operator_times import WARMUP, OperatorTime

_SUFFIX = "_kernel_time"


def operator_times(model: bytes, batch: FloatArray, *, threads: int, runs: int) -> tuple[OperatorTime, ...]:
    """See `Profiler`. The profiler's overhead of a few µs per operator is not part of any operator's time."""
    settings = exact_int8_settings(this_machine())
    with tempfile.TemporaryDirectory() as folder:
        options = session_options(threads, settings)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "trace")
        options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
        content = with_uint8_weights(model) if settings else model
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        (image,) = session.get_inputs()
        for _ in range(WARMUP + runs):
            session.run(None, {image.name: batch})
        trace = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
        origins = _origins(onnx.load(options.optimized_model_filepath, load_external_data=False))
    samples: dict[tuple[str, str], list[float]] = defaultdict(list)
    for name, kind, seconds in _operators(trace):
        samples[name, kind].append(seconds)
    return tuple(
        OperatorTime.from_samples(
            name, kind, seconds[len(seconds) * WARMUP // (WARMUP + runs) :], origins.get(name, ())
        )
        for (name, kind), seconds in samples.items()
    )


def _operators(trace: list[dict[str, Any]]) -> Iterator[tuple[str, str, float]]:
    """(name, operation, seconds) of every operator of every run, in order."""
    for event in trace:
        if event.get("cat") == "Node" and event["name"].endswith(_SUFFIX):
            yield event["name"].removesuffix(_SUFFIX), event["args"]["op_name"], event["dur"] / 1e6


def _origins(optimized: onnx.ModelProto) -> Mapping[str, tuple[str, ...]]:
    """For each operator, candidate names: its own, its outputs, the outputs of their readers, and its first input.

    Operators that the optimizer adds (a reordering, the two parts of an h-swish) have new names, so the neighbouring
    values identify the layer.
    """
    readers: dict[str, list[str]] = defaultdict(list)
    for node in optimized.graph.node:
        for name in node.input:
            readers[name] += node.output
    return {
        node.name: (
            node.name,
            *node.output,
            *(value for name in node.output for value in readers[name]),
            *node.input[:1],
        )
        for node in optimized.graph.node
    }

"""The latency of a deployed network, by source: predicted from a table, measured, or estimated.

If no runtime on this machine runs a target, its latencies are always estimated by the roofline model.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from math import inf
from pathlib import Path

from pocketcnn.compression.deployed import Deployed, Written
from pocketcnn.errors import PocketcnnError
from pocketcnn.graph import Graph, GraphNetwork
from pocketcnn.runtimes import Session, StopRule, get_runtime, measure
from pocketcnn.runtimes.base import Numerics
from pocketcnn.targets import Figure, Target, latency_figure, load_target
from pocketcnn.targets.estimate import estimate, numerics_of
from pocketcnn.targets.latency import LatencyPredictor, load_predictor
from pocketcnn.targets.measuring import example_batch, runtime_of

QUICK = StopRule(max_seconds=0.4, min_seconds=0.1)
"""For comparing candidates. Reported latencies are measured under the default rule."""


class LatencySource(StrEnum):
    """Where latencies come from, for a target that runs on this machine."""

    PREDICTED = "predicted"
    """From the latency table of the target, which must exist."""
    EITHER = "predicted or measured"
    """From the latency table if there is a valid one; otherwise measured."""
    MEASURED = "measured"
    """Measured with the runtime of the target, for each network."""


@dataclass(frozen=True)
class LatencyModel:
    """`seconds` gives the seconds of one image on a target; `measures` says whether it runs the network to do so."""

    seconds: Callable[[Deployed], float]
    measures: bool = False


def latency_model_of(target_name: str, precision: Numerics, source: LatencySource) -> LatencyModel:
    """The latency model of a target for networks in the given precision.

    Raises:
        UsageError: latencies are to be predicted, and there is no table for that precision.
    """
    target = load_target(target_name)
    if target.runtime is None:
        return LatencyModel(lambda deployed: estimated(deployed.graph, target).value)
    measured = LatencyModel(partial(_measured, target_name=target_name), measures=True)
    if source is LatencySource.MEASURED:
        return measured
    found = (
        load_predictor(target, precision) if source is LatencySource.PREDICTED else predictor(target_name, precision)
    )
    return measured if found is None else LatencyModel(partial(_predicted, found))


def predictor(target_name: str, precision: Numerics) -> LatencyPredictor | None:
    """The latency predictor of a target on this machine; None if it has no valid latency table."""
    try:
        return load_predictor(load_target(target_name), precision)
    except PocketcnnError:
        return None


def _measured(deployed: Deployed, target_name: str) -> float:
    return latency(deployed, target_name).value


def _predicted(predictor: LatencyPredictor, deployed: Deployed) -> float:
    return predictor.seconds(deployed.graph)


def latency(deployed: Deployed | Written, target_name: str, rule: StopRule = QUICK) -> Figure:
    """The latency of one image on a target: measured now, or estimated if the target is not on this machine."""
    target = load_target(target_name)
    if target.runtime is None:
        return estimated(deployed.graph, target)
    with opened(deployed.graph, deployed.onnx, target) as session:
        return latency_figure(measure(session, example_batch(session), rule=rule))


def estimated(graph: Graph, target: Target) -> Figure:
    """The lower bound on the latency for a target that is not on this machine; infinite in an unsupported precision."""
    precision = numerics_of(graph)
    if precision not in target.numerics:
        return Figure(inf, inf, inf, f"{target.name} does not run {precision}", estimated=True)
    return estimate(graph, target).figure()


@contextmanager
def opened(graph: Graph, artefact: bytes, target: Target) -> Iterator[Session]:
    """A session of a deployed graph on the runtime of `target`.

    Args:
        graph: the deployed graph.
        artefact: its ONNX file. A runtime with another file format gets its own file, written from `graph`.
    """
    runtime = get_runtime(runtime_of(target))
    with tempfile.TemporaryDirectory() as folder:
        ready: object = artefact
        if runtime.suffix != ".onnx":
            ready = runtime.write(GraphNetwork(graph), Path(folder) / f"network{runtime.suffix}")
        with closing(runtime.build(ready, threads=target.thread_count)) as session:
            yield session

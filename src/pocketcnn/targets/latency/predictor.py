"""`predict_latency`: the time of a network on a target, layer by layer, from the target's latency table."""

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.graph import Graph, GraphNetwork, for_inference
from pocketcnn.runtimes.base import Numerics
from pocketcnn.runtimes.machine import this_machine
from pocketcnn.runtimes.registry import get_runtime
from pocketcnn.targets.latency.block_text import PooledWeights, build
from pocketcnn.targets.latency.kernels import Kernel, KernelGroup, split
from pocketcnn.targets.latency.regression import KernelTimes, fit
from pocketcnn.targets.latency.table import Conditions, LatencyTable, default_path, load_table
from pocketcnn.targets.measuring import runtime_of
from pocketcnn.targets.target import Target, load_target

NINETY = 1.645
"""Standard errors to each side that hold nine in ten."""


@dataclass(frozen=True)
class KernelTime:
    """Seconds of one kernel, and the graph's nodes that it computes."""

    kernel: Kernel
    nodes: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Prediction:
    """The time of one image.

    Attributes:
        total: seconds; with nine chances in ten it lies between `low` and `high`.
        layers: of the kernels, in the order in which they run.
        overhead: what belongs to no kernel: the call, and fetching weights that no cache keeps.
    """

    total: float
    low: float
    high: float
    layers: tuple[KernelTime, ...]
    overhead: float

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON, in seconds."""
        return {
            "seconds": self.total,
            "low": self.low,
            "high": self.high,
            "overhead": self.overhead,
            "kernels": [
                {"kernel": str(layer.kernel), "nodes": list(layer.nodes), "seconds": layer.seconds}
                for layer in self.layers
            ],
        }


@dataclass(frozen=True)
class LatencyPredictor:
    """Predicts from one table in one numerics. Kernels that were met before cost a look-up."""

    target: str
    numerics: Numerics
    times: KernelTimes

    @classmethod
    def fitted(cls, table: LatencyTable, numerics: Numerics = "float32") -> "LatencyPredictor":
        """Fit a predictor to the measurements of `table` in `numerics`, some seconds of work.

        Raises:
            MissingExtra: scikit-learn is absent.
            UsageError: the table has too few measurements.
        """
        measured = table.steady(numerics)
        networks = [Counter(group.kernel for group in split(build(blocks))) for blocks, _ in measured]
        return cls(table.target, numerics, fit(networks, [seconds for _, seconds in measured]))

    def seconds(self, graph: Graph) -> float:
        """The time of a graph at inference (see `for_inference`); the quickest way, for loops."""
        return self.times.total(Counter(group.kernel for group in split(graph)))

    def predict(self, graph: Graph) -> Prediction:
        """The time of a graph at inference, layer by layer."""
        groups: Sequence[KernelGroup] = split(graph)
        kernels = Counter(group.kernel for group in groups)
        factor, error = self.times.context(kernels), self.times.error(kernels)
        total = factor * self.times.isolated_total(kernels)
        layers = tuple(
            KernelTime(group.kernel, group.nodes, factor * self.times.time(group.kernel)) for group in groups
        )
        spread = 1 + NINETY * error
        return Prediction(total, total / spread, total * spread, layers, factor * self.times.overhead(kernels))


def predict_latency(
    network: Graph | GraphNetwork,
    target: str | Target,
    *,
    numerics: Numerics | None = None,
    table: Path | None = None,
    force: bool = False,
) -> Prediction:
    """The time of one image of `network` on `target`, without running it.

    Args:
        network: captured; batch normalization is folded first.
        target: its name, its .toml file, or a `Target`. It must have been profiled: ``pocketcnn target profile``.
        numerics: the precision to predict for; that of the network unless given.
        table: the file with the target's latency table; its place in the cache unless given.
        force: use the table though it was measured on another machine or with another version of the runtime.

    Raises:
        UsageError: there is no table, it is of other circumstances, or it has no measurements in that numerics.
        MissingExtra: scikit-learn is absent.
    """
    resolved = target if isinstance(target, Target) else load_target(target)
    graph = network if isinstance(network, Graph) else network.graph.rebuilt()
    precision: Numerics = numerics or ("int8" if graph.numerics else "float32")
    predictor = load_predictor(resolved, precision, table=table, force=force)
    return predictor.predict(graph if graph.numerics else for_inference(graph))


def load_predictor(
    target: Target, numerics: Numerics = "float32", *, table: Path | None = None, force: bool = False
) -> LatencyPredictor:
    """The predictor of a target, fitted once for each table and kept; see `predict_latency`."""
    path = table or default_path(target.name)
    found = load_table(target.name, path)
    if not force:
        found.check(_by_runtime(runtime_of(target), target.thread_count))
    if numerics not in found.numerics:
        there = ", ".join(found.numerics) or "nothing"
        raise UsageError(f"The latency table of {target.name} has no {numerics} measurements, only {there}: {path}.")
    return _fitted(path, path.stat().st_mtime_ns, numerics)


@lru_cache(maxsize=16)
def _fitted(path: Path, changed: int, numerics: Numerics) -> LatencyPredictor:
    """`changed` makes a table that was measured anew another key."""
    del changed
    return LatencyPredictor.fitted(LatencyTable.load(path), numerics)


def current_conditions(target: Target) -> Conditions:
    """What the times of `target` depend on, here and now; a tiny network is run to learn the runtime's version.

    Raises:
        UsageError: no runtime here runs networks of the target.
        PocketcnnError: its runtime is absent.
    """
    runtime = get_runtime(runtime_of(target))
    if (absent := runtime.available()) is not None:
        raise PocketcnnError(f"The runtime {runtime.name} cannot be used here: {absent}")
    with TemporaryDirectory() as folder:
        network = GraphNetwork(build("3x8x8 conv:3,1,8,1", PooledWeights()))
        path = runtime.write(network, Path(folder) / f"tiny{runtime.suffix}")
        with closing(runtime.build(path, threads=target.thread_count)) as session:
            info = session.info
    return Conditions(info.runtime, info.version, info.threads, this_machine(), dict(info.settings))


@lru_cache(maxsize=16)
def _by_runtime(runtime: str, threads: int) -> Conditions:
    return current_conditions(Target(name="here", runtime=runtime, threads=threads))

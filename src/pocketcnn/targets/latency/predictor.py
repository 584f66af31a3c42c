"""`predict_latency`: the latency of a network on a target, by kernel, from the target's latency table."""

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from math import hypot
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
"""Standard errors on each side of a 90 % interval."""


@dataclass(frozen=True)
class KernelTime:
    """Seconds of one kernel, and the graph nodes that it computes."""

    kernel: Kernel
    nodes: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Prediction:
    """The predicted latency of one image.

    Attributes:
        total: seconds.
        low, high: 90 % prediction interval: of the fit, of kernels unlike those measured, and of calls on this machine.
        layers: kernels in the order in which they run.
        overhead: time outside the kernels: the call, and loading weights that do not fit in a cache.
        unfamiliar: indices of the `layers` whose kernels are unlike any that the table has.
    """

    total: float
    low: float
    high: float
    layers: tuple[KernelTime, ...]
    overhead: float
    unfamiliar: tuple[int, ...] = ()

    @property
    def unfamiliar_share(self) -> float:
        """The share of the time that is in unfamiliar kernels, 0 to 1."""
        return sum(self.layers[index].seconds for index in self.unfamiliar) / self.total

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON, in seconds."""
        return {
            "seconds": self.total,
            "low": self.low,
            "high": self.high,
            "overhead": self.overhead,
            "unfamiliar_share": self.unfamiliar_share,
            "kernels": [
                {"kernel": str(layer.kernel), "nodes": list(layer.nodes), "seconds": layer.seconds}
                for layer in self.layers
            ],
        }


@dataclass(frozen=True)
class LatencyPredictor:
    """Predicts latencies from one table in one precision. Results for known kernels are cached."""

    target: str
    numerics: Numerics
    times: KernelTimes
    spread: float = 0.0
    """Standard deviation of the logarithm of a call's time on this machine."""

    @classmethod
    def fitted(cls, table: LatencyTable, numerics: Numerics = "float32") -> "LatencyPredictor":
        """Fit a predictor to the measurements of `table` in the precision `numerics`; takes some seconds.

        Raises:
            MissingExtra: scikit-learn is not installed.
            UsageError: the table has too few measurements.
        """
        measured = table.steady(numerics)
        networks = [Counter(group.kernel for group in split(build(blocks))) for blocks, _ in measured]
        times = fit(networks, [seconds for _, seconds in measured])
        return cls(table.target, numerics, times, table.spread(numerics))

    def seconds(self, graph: Graph) -> float:
        """The latency of a graph at inference (see `for_inference`), in seconds; the fastest method, for loops."""
        return self.times.total(Counter(group.kernel for group in split(graph)))

    def predict(self, graph: Graph) -> Prediction:
        """The latency of a graph at inference, by kernel, with an interval."""
        groups: Sequence[KernelGroup] = split(graph)
        kernels = Counter(group.kernel for group in groups)
        factor, error = self.times.context(kernels), hypot(self.times.error(kernels), self.spread)
        total = factor * self.times.isolated_total(kernels)
        layers = tuple(
            KernelTime(group.kernel, group.nodes, factor * self.times.time(group.kernel)) for group in groups
        )
        spread = 1 + NINETY * error
        unfamiliar = tuple(index for index, layer in enumerate(layers) if not self.times.is_familiar(layer.kernel))
        overhead = factor * self.times.overhead(kernels)
        return Prediction(total, total / spread, total * spread, layers, overhead, unfamiliar)


def predict_latency(
    network: Graph | GraphNetwork,
    target: str | Target,
    *,
    numerics: Numerics | None = None,
    table: Path | None = None,
    force: bool = False,
) -> Prediction:
    """Predict the latency of one image of `network` on `target`, without running it.

    Args:
        network: captured; batch normalization is folded first.
        target: its name, its .toml file, or a `Target`. It must have been profiled: ``pocketcnn target profile``.
        numerics: the precision to predict for; by default that of the network.
        table: the latency table of the target; by default the one in the user's cache.
        force: use the table even if it was measured on another machine or with another version of the runtime.

    Raises:
        UsageError: there is no table, it was measured under other conditions, or it lacks the precision.
        MissingExtra: scikit-learn is not installed.
    """
    resolved = target if isinstance(target, Target) else load_target(target)
    graph = network if isinstance(network, Graph) else network.graph.rebuilt()
    precision: Numerics = numerics or ("int8" if graph.numerics else "float32")
    predictor = load_predictor(resolved, precision, table=table, force=force)
    return predictor.predict(graph if graph.numerics else for_inference(graph))


def load_predictor(
    target: Target, numerics: Numerics = "float32", *, table: Path | None = None, force: bool = False
) -> LatencyPredictor:
    """The predictor of a target, fitted once per table and cached; see `predict_latency`."""
    path = table or default_path(target.name)
    found = load_table(target.name, path)
    if not force:
        found.check(_by_runtime(runtime_of(target), target.thread_count))
    if numerics not in found.numerics:
        available = ", ".join(found.numerics) or "nothing"
        raise UsageError(
            f"The latency table of {target.name} has no {numerics} measurements, only {available}: {path}."
        )
    return _fitted(path, path.stat().st_mtime_ns, numerics)


@lru_cache(maxsize=16)
def _fitted(path: Path, changed: int, numerics: Numerics) -> LatencyPredictor:
    """`changed` is part of the cache key, so that a changed table is loaded again."""
    del changed
    return LatencyPredictor.fitted(LatencyTable.load(path), numerics)


def current_conditions(target: Target) -> Conditions:
    """The conditions of measurements on `target`, now; a tiny network is run to get the runtime's version.

    Raises:
        UsageError: the target does not run on this machine.
        PocketcnnError: its runtime is not installed.
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

"""The strategies of `compress`, which decide how much of each layer to prune: ranking of all channels, NetAdapt, or AMC."""

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from pocketcnn.compression.deployed import UNCHANGED, WeightCompression
from pocketcnn.compression.evaluator import BudgetEvaluator
from pocketcnn.compression.latency import LatencySource
from pocketcnn.compression.pruning.netadapt import netadapt, settings_of_rule
from pocketcnn.compression.pruning.prune import Fits
from pocketcnn.compression.pruning.resource import Resource, resource_of
from pocketcnn.compression.pruning.space import PruningSpace
from pocketcnn.errors import BudgetNotMet, UsageError
from pocketcnn.files import write_text
from pocketcnn.graph import Graph, GraphNetwork
from pocketcnn.pipeline.choices import COMPRESS_STRATEGIES
from pocketcnn.pipeline.compress.pruning import held_out_of, pruning_config_of, short_fine_tuner, table_latency
from pocketcnn.pipeline.compression_run import CompressionRun, Pruner, recover
from pocketcnn.targets import Budget

if TYPE_CHECKING:
    from pocketcnn.compression.pruning.amc.agent import Actor

TRIED = 6
"""Proposals (channel groups) that NetAdapt fine-tunes in each step. All of them would take hours for fifty groups."""

AUTOMATIC = "automatic"
"""Folder in the output for the record of a strategy."""


def budget_share(budget: Budget, graph: Graph, weights: WeightCompression = UNCHANGED) -> Resource:
    """The resource of NetAdapt and AMC: the largest share of any limit that a pruned variant of `graph` uses.

    It is that of the best precision. Latencies are predicted from the table of the target. For a target without a runtime on
    this machine they are estimated.

    Args:
        budget: absolute, without percentages.
        graph: the unpruned network.
        weights: the sparsity and clustering of weights that follow, which make the coded file smaller.

    Raises:
        UsageError: a target with a runtime on this machine has no latency table.
    """
    return resource_of(BudgetEvaluator(budget, LatencySource.PREDICTED, weights), graph, table_latency(budget))


@dataclass
class NetAdaptPruner:
    """Prunes by NetAdapt. After a tightened budget it continues from its last network."""

    out: Path
    _latest: list[GraphNetwork] = field(default_factory=list)

    def __call__(self, parent: GraphNetwork, run: CompressionRun, fits: Fits) -> tuple[GraphNetwork, bool]:  # noqa: ARG002
        config = pruning_config_of(run)
        settings = settings_of_rule(run.method.choose, max_proposals=TRIED, channels=config.settings)
        attempt = run.attempt + 1
        start = self._latest[-1] if self._latest else parent
        adapted = netadapt(
            start,
            budget_share(run.budget, parent.graph, run.method.weights),
            1.0,
            short_fine_tuner(run),
            settings,
            batches=config.batches,
            store=run.workspace.folder / f"netadapt {attempt}",
            say=run.say,
        )
        self._latest.append(adapted.network)
        steps = [asdict(step) for step in adapted.steps]
        write_text(
            self.out / f"netadapt {attempt}.json",
            json.dumps({"budget": str(run.budget), "steps": steps}, indent=1) + "\n",
        )
        network = GraphNetwork(adapted.network.graph.rebuilt(), parent.info)
        record = {"strategy": "netadapt", "steps": len(steps), "step": settings.step, "decay": settings.decay}
        record |= {"most": settings.max_ratio, "tried": settings.max_proposals, "choose": settings.choose}
        recover("pruned", network, parent, run, {**record, **config.record()})
        return network, adapted.met


@dataclass
class AmcPruner:
    """Prunes by AMC, with the accuracy before fine-tuning as reward. For a tightened budget, the trained actor is reused."""

    out: Path
    _actors: "list[Actor]" = field(default_factory=list)

    def __call__(self, parent: GraphNetwork, run: CompressionRun, fits: Fits) -> tuple[GraphNetwork, bool]:  # noqa: ARG002
        from pocketcnn.compression.pruning.amc import AmcSettings, UntrainedAccuracy, amc, follow

        config = pruning_config_of(run)
        space = PruningSpace.of(
            parent.graph,
            budget_share(run.budget, parent.graph, run.method.weights),
            config.settings,
            config.batches,
        )
        reward = UntrainedAccuracy(space, held_out_of(run), run.sets.calibration())
        episodes = run.trainings.effort.episodes
        settings = AmcSettings(warmup=max(1, episodes // 4), episodes=episodes, seed=run.trainings.seed)
        met, counts = True, space.max_counts
        try:
            if self._actors:
                policy = follow(space, reward, 1.0, self._actors[-1])
            else:
                found = amc(space, reward, 1.0, settings, store=run.workspace.folder / "amc", say=run.say)
                found.save(self.out)
                self._actors.append(found.actor)
                policy = found.policy
            counts = policy.counts
        except BudgetNotMet:
            met = False
        network = reward.network(counts, parent.info)
        kept = [[list(space.layers(group)), 1 - counts[group] / space.units(group)] for group in space.prunable]
        record = {"strategy": "amc", "episodes": episodes, "kept": kept, **config.record()}
        recover("pruned", network, parent, run, record)
        return network, met


@dataclass(frozen=True)
class PruningStrategy:
    """A strategy of `compress`.

    Attributes:
        summary: a short description.
        options: the fields of `CompressionMethod` that it uses, among those that not every strategy uses.
        module: module to import for it, which raises `MissingExtra` if its library is missing; empty if there is none.
        for_study: whether it is provided for study and comparison, not for better networks.
        make: creates the pruner from the folder for its record; returns None for the ranking, the default of `shrink`.
    """

    summary: str
    options: frozenset[str] = frozenset()
    module: str = ""
    for_study: bool = False
    make: Callable[[Path], Pruner | None] = lambda _out: None


STRATEGIES: Mapping[str, PruningStrategy] = MappingProxyType(
    {
        "rank": PruningStrategy(
            COMPRESS_STRATEGIES["rank"], options=frozenset({"stages", "allocation", "reconstruct"})
        ),
        "netadapt": PruningStrategy(
            COMPRESS_STRATEGIES["netadapt"],
            options=frozenset({"choose"}),  # it has its own allocation, stages and training
            make=NetAdaptPruner,
        ),
        "amc": PruningStrategy(
            COMPRESS_STRATEGIES["amc"],
            module="pocketcnn.compression.pruning.amc",
            for_study=True,
            make=AmcPruner,
        ),
    }
)
"""The strategies of `compress`. A new one needs an entry here and its summary in `choices`."""

OPTIONS_READ: Mapping[str, frozenset[str]] = MappingProxyType(
    {name: strategy.options for name, strategy in STRATEGIES.items()}
)
"""For each strategy, the fields of `CompressionMethod` that it uses, among those that not every strategy uses."""


def check_strategy(name: str) -> PruningStrategy:
    """The strategy of that name, if it can run.

    Raises:
        UsageError: there is no such strategy.
        MissingExtra: its library is not installed.
    """
    if name not in STRATEGIES:
        raise UsageError(f"There is no strategy {name!r}; choose {', '.join(STRATEGIES)}.")
    strategy = STRATEGIES[name]
    if strategy.module:
        importlib.import_module(strategy.module)
    return strategy


def pruner_of(strategy: str, out: Path) -> Pruner | None:
    """The pruner of `strategy`, which writes its record below `out`; None for the ranking, the default of `shrink`."""
    return check_strategy(strategy).make(out / AUTOMATIC)

"""How `compress` decides how much of each layer to prune: by one ranking of all channels, by NetAdapt, or by AMC."""

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
from pocketcnn.compression.pruning.netadapt import NetAdaptSettings, netadapt
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
"""Groups that NetAdapt trains for each of its steps: all of them would take hours for networks of fifty groups."""

AUTOMATIC = "automatic"
"""The folder in the output that holds what a strategy found out."""


def budget_share(budget: Budget, graph: Graph, weights: WeightCompression = UNCHANGED) -> Resource:
    """The largest share of any limit of an absolute budget that forms of `graph` use, in the precision in which they fit best.

    A latency is predicted from its target's table, or estimated where the target is not here.

    Args:
        weights: the zeros and shared values that the weights get afterwards, which make the coded file smaller.

    Raises:
        UsageError: a target that is here has no latency table.
    """
    return resource_of(BudgetEvaluator(budget, LatencySource.PREDICTED, weights), graph, table_latency(budget))


@dataclass
class NetAdaptPruner:
    """Prunes by NetAdapt. A tightened budget goes on from where the last one ended."""

    out: Path
    _latest: list[GraphNetwork] = field(default_factory=list)

    def __call__(self, parent: GraphNetwork, run: CompressionRun, fits: Fits) -> tuple[GraphNetwork, bool]:  # noqa: ARG002
        narrowing = pruning_config_of(run)
        settings = NetAdaptSettings(max_proposals=TRIED, channels=narrowing.settings)
        attempt = run.attempt + 1
        start = self._latest[-1] if self._latest else parent
        adapted = netadapt(
            start,
            budget_share(run.budget, parent.graph, run.method.weights),
            1.0,
            short_fine_tuner(run),
            settings,
            batches=narrowing.batches,
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
        how = {"strategy": "netadapt", "steps": len(steps), "step": settings.step, "decay": settings.decay}
        how |= {"most": settings.max_ratio, "tried": settings.max_proposals}
        recover("pruned", network, parent, run, {**how, **narrowing.record()})
        return network, adapted.met


@dataclass
class AmcPruner:
    """Prunes by AMC, from accuracies without training. For a tightened budget the trained actor walks once more."""

    out: Path
    _actors: "list[Actor]" = field(default_factory=list)

    def __call__(self, parent: GraphNetwork, run: CompressionRun, fits: Fits) -> tuple[GraphNetwork, bool]:  # noqa: ARG002
        from pocketcnn.compression.pruning.amc import AmcSettings, UntrainedAccuracy, amc, follow

        narrowing = pruning_config_of(run)
        space = PruningSpace.of(
            parent.graph,
            budget_share(run.budget, parent.graph, run.method.weights),
            narrowing.settings,
            narrowing.batches,
        )
        judge = UntrainedAccuracy(space, held_out_of(run), run.sets.calibration())
        episodes = run.trainings.effort.episodes
        settings = AmcSettings(warmup=max(1, episodes // 4), episodes=episodes, seed=run.trainings.seed)
        met, counts = True, space.max_counts
        try:
            if self._actors:
                policy = follow(space, judge, 1.0, self._actors[-1])
            else:
                found = amc(space, judge, 1.0, settings, store=run.workspace.folder / "amc", say=run.say)
                found.save(self.out)
                self._actors.append(found.actor)
                policy = found.policy
            counts = policy.counts
        except BudgetNotMet:
            met = False
        network = judge.network(counts, parent.info)
        kept = [[list(space.layers(group)), 1 - counts[group] / space.units(group)] for group in space.prunable]
        how = {"strategy": "amc", "episodes": episodes, "kept": kept, **narrowing.record()}
        recover("pruned", network, parent, run, how)
        return network, met


@dataclass(frozen=True)
class PruningStrategy:
    """A strategy of `compress` as a command knows it.

    Attributes:
        summary: a few words for a reader.
        options: the fields of `Method` that it reads, of those that not every strategy reads.
        needs: what must be there before it is run, for a reader; empty if nothing.
        module: what must be importable for it, with the extra that it names if it is not; empty if nothing.
        for_study: whether it is there to be studied and compared with, not because it finds smaller or better networks.
        make: what prunes, from the folder for its record; None stands for the ranking that `shrink` prunes by anyway.
    """

    summary: str
    options: frozenset[str] = frozenset()
    needs: str = ""
    module: str = ""
    for_study: bool = False
    make: Callable[[Path], Pruner | None] = lambda _out: None


STRATEGIES: Mapping[str, PruningStrategy] = MappingProxyType(
    {
        "rank": PruningStrategy(
            COMPRESS_STRATEGIES["rank"], options=frozenset({"stages", "allocation", "reconstruct"})
        ),
        "netadapt": PruningStrategy(
            COMPRESS_STRATEGIES["netadapt"],  # decides layer by layer, and trains the network that it ends with
            needs="the latency table of each target that the budget names and that is here (pocketcnn target profile)",
            make=NetAdaptPruner,
        ),
        "amc": PruningStrategy(
            COMPRESS_STRATEGIES["amc"],
            needs="the extra amc; the latency table of each target that the budget names and that is here",
            module="pocketcnn.compression.pruning.amc",
            for_study=True,
            make=AmcPruner,
        ),
    }
)
"""The strategies of `compress`: a new one is an entry here, and its words in `choices`."""

OPTIONS_READ: Mapping[str, frozenset[str]] = MappingProxyType(
    {name: strategy.options for name, strategy in STRATEGIES.items()}
)
"""By strategy, the fields of `Method` that it reads of those that not every strategy reads."""


def check_strategy(name: str) -> PruningStrategy:
    """The strategy of that name.

    Raises:
        UsageError: there is none.
        MissingExtra: it lacks its library.
    """
    if name not in STRATEGIES:
        raise UsageError(f"There is no strategy {name!r}; choose {', '.join(STRATEGIES)}.")
    strategy = STRATEGIES[name]
    if strategy.module:
        importlib.import_module(strategy.module)
    return strategy


def pruner_of(strategy: str, out: Path) -> Pruner | None:
    """What prunes by `strategy`, leaving its record in `out`; None stands for the ranking that `shrink` prunes by anyway."""
    return check_strategy(strategy).make(out / AUTOMATIC)

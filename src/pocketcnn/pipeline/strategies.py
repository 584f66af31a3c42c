"""How `compress` decides how much of each layer to prune: by one ranking of all channels, by NetAdapt, or by AMC."""

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from pocketcnn.compression.netadapt import NetAdaptSettings, netadapt
from pocketcnn.compression.prune import Fits
from pocketcnn.compression.prune_report import total_madds
from pocketcnn.compression.resource import Resource
from pocketcnn.compression.space import PruningSpace
from pocketcnn.cost import count
from pocketcnn.errors import BudgetNotMet, UsageError
from pocketcnn.files import write_text
from pocketcnn.graph import Graph, GraphNetwork
from pocketcnn.pipeline.choices import COMPRESS_STRATEGIES
from pocketcnn.pipeline.compression_run import Bench, Pruner, recover
from pocketcnn.pipeline.figures import artefact_bytes, counted, estimated, in_form
from pocketcnn.pipeline.narrowing import held_out_of, narrowing_of, short_tuner, table_clock
from pocketcnn.pipeline.shrink import telling_forms
from pocketcnn.targets import Budget, Quantity, load_target
from pocketcnn.targets.latency import LatencyPredictor, load_predictor

if TYPE_CHECKING:
    from pocketcnn.compression.amc.agent import Actor

TRIED = 6
"""Groups that NetAdapt trains for each of its steps: all of them would take hours for networks of fifty groups."""

OF_SHAPES = frozenset({Quantity.MACS, Quantity.PARAMS, Quantity.RAM, Quantity.LATENCY})
"""What a float graph can be judged by without the values of its weights."""

AUTOMATIC = "automatic"
"""The folder in the output that holds what a strategy found out."""


def budget_share(budget: Budget, graph: Graph) -> Resource:
    """The largest share of any limit of an absolute budget that forms of `graph` use, in the numerics in which they fit best.

    A latency is predicted from its target's table, or estimated where the target is not here.

    Raises:
        UsageError: a target that is here has no latency table.
    """
    figures, problems = [], []
    for form in telling_forms(budget):
        try:
            figures.append(_Figures(budget, form, _clocks(budget, form)))
        except UsageError as error:  # a table may have measurements in one form only
            problems.append(error)
    if not figures:
        raise problems[0]
    return Resource(
        f"share of {budget}",
        lambda graph: min(figure.share(graph) for figure in figures),
        quantum=1e-6,
        by_shape={limit.quantity for limit in budget.limits} <= OF_SHAPES
        and len(figures) == 1
        and figures[0].form == "float32",
        at_inference=True,
        of_a_madd=_of_a_madd(budget, graph),
        seconds=table_clock(budget),
    )


def _of_a_madd(budget: Budget, graph: Graph) -> float | None:
    """The share of the budget that one multiply-add uses, where nothing else is limited and deployment adds none."""
    if any(limit.quantity is not Quantity.MACS for limit in budget.limits):
        return None
    added = count(in_form(graph, "float32")).madds - total_madds(graph)  # of batch norms that no layer absorbs
    return None if added else 1 / budget.limits[0].bound


def _clocks(budget: Budget, form: str) -> dict[str, LatencyPredictor | None]:
    """By target, its predictor in `form`; None for a target that is not here, whose times are estimated."""
    clocks: dict[str, LatencyPredictor | None] = {}
    for name in budget.targets:
        target = load_target(name)
        clocks[name] = None if target.runtime is None else load_predictor(target, form)  # type: ignore[arg-type]
    return clocks


@dataclass(frozen=True)
class _Figures:
    """The figures of graphs deployed in one form."""

    budget: Budget
    form: str
    clocks: dict[str, LatencyPredictor | None]

    def share(self, graph: Graph) -> float:
        """The largest share of a limit that is used."""
        deployed = in_form(graph, self.form)
        sized = bool(self.budget.limits_on(Quantity.SIZE))
        figures = counted(deployed, artefact_bytes(deployed) if sized else b"")
        return max(
            (figures[limit.quantity].value if limit.target is None else self._seconds(deployed, limit.target))
            / limit.bound
            for limit in self.budget.limits
        )

    def _seconds(self, deployed: Graph, target: str) -> float:
        clock = self.clocks[target]
        return estimated(deployed, load_target(target)).value if clock is None else clock.seconds(deployed)


@dataclass
class NetAdaptPruner:
    """Prunes by NetAdapt. A tightened budget goes on from where the last one ended."""

    out: Path
    _latest: list[GraphNetwork] = field(default_factory=list)

    def __call__(self, parent: GraphNetwork, bench: Bench, fits: Fits) -> tuple[GraphNetwork, bool]:  # noqa: ARG002
        narrowing = narrowing_of(bench)
        settings = NetAdaptSettings(tried=TRIED, channels=narrowing.settings)
        attempt = bench.attempt + 1
        start = self._latest[-1] if self._latest else parent
        adapted = netadapt(
            start,
            budget_share(bench.budget, parent.graph),
            1.0,
            short_tuner(bench),
            settings,
            batches=narrowing.batches,
            store=bench.workspace.folder / f"netadapt {attempt}",
            say=bench.say,
        )
        self._latest.append(adapted.network)
        steps = [asdict(step) for step in adapted.steps]
        write_text(
            self.out / f"netadapt {attempt}.json",
            json.dumps({"budget": str(bench.budget), "steps": steps}, indent=1) + "\n",
        )
        network = GraphNetwork(adapted.network.graph.rebuilt(), parent.info)
        how = {"strategy": "netadapt", "steps": len(steps), "step": settings.step, "decay": settings.decay}
        how |= {"most": settings.most, "tried": settings.tried}
        recover("pruned", network, parent, bench, {**how, **narrowing.record()})
        return network, adapted.met


@dataclass
class AmcPruner:
    """Prunes by AMC, from accuracies without training. For a tightened budget the trained actor walks once more."""

    out: Path
    _actors: "list[Actor]" = field(default_factory=list)

    def __call__(self, parent: GraphNetwork, bench: Bench, fits: Fits) -> tuple[GraphNetwork, bool]:  # noqa: ARG002
        from pocketcnn.compression.amc import AmcSettings, UntrainedAccuracy, amc, follow

        narrowing = narrowing_of(bench)
        space = PruningSpace.of(
            parent.graph, budget_share(bench.budget, parent.graph), narrowing.settings, narrowing.batches
        )
        judge = UntrainedAccuracy(space, held_out_of(bench), bench.sets.calibration())
        episodes = bench.trainings.effort.episodes
        settings = AmcSettings(warmup=max(1, episodes // 4), episodes=episodes, seed=bench.trainings.seed)
        met, counts = True, space.most
        try:
            if self._actors:
                policy = follow(space, judge, 1.0, self._actors[-1])
            else:
                found = amc(space, judge, 1.0, settings, store=bench.workspace.folder / "amc", say=bench.say)
                found.save(self.out)
                self._actors.append(found.actor)
                policy = found.policy
            counts = policy.counts
        except BudgetNotMet:
            met = False
        network = judge.network(counts, parent.info)
        kept = [[list(space.layers(group)), 1 - counts[group] / space.units(group)] for group in space.movable]
        how = {"strategy": "amc", "episodes": episodes, "kept": kept, **narrowing.record()}
        recover("pruned", network, parent, bench, how)
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
        "rank": PruningStrategy(COMPRESS_STRATEGIES["rank"], options=frozenset({"stages", "spread", "reconstruct"})),
        "netadapt": PruningStrategy(
            COMPRESS_STRATEGIES["netadapt"],  # decides layer by layer, and trains the network that it ends with
            needs="the latency table of each target that the budget names and that is here (pocketcnn target profile)",
            make=NetAdaptPruner,
        ),
        "amc": PruningStrategy(
            COMPRESS_STRATEGIES["amc"],
            needs="the extra amc; the latency table of each target that the budget names and that is here",
            module="pocketcnn.compression.amc",
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

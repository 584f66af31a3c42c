"""Structured pruning to a bound: the least important channels go until the network fits, and are really removed.

Five parts that can be exchanged alone: how to cut (`coupling.remove`), what is coupled (`coupling.couple`), what matters
(`importance`), where it goes (`allocation`), how much (`schedule` and the search here).
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from pocketcnn.compression.coupling import Coupling, channel_groups, couple, remove, why_frozen
from pocketcnn.compression.pruning.allocation import (
    ALLOCATIONS,
    SHARES,
    Evaluate,
    Sensitivity,
    counts_of,
    measure_sensitivity,
)
from pocketcnn.compression.pruning.bounds import Bounds, Measure, bounds_of
from pocketcnn.compression.pruning.importance import CriterionData, criterion
from pocketcnn.compression.pruning.meta_graph import MetaGraph
from pocketcnn.compression.pruning.prune_report import PruneReport
from pocketcnn.compression.pruning.schedule import Counts, Schedule, schedule
from pocketcnn.compression.pruning.widths import efficient_widths
from pocketcnn.cost.counting import parameters, total_madds
from pocketcnn.errors import BudgetNotMet, UsageError
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.network import GraphNetwork
from pocketcnn.targets.budget import Budget

Fits = Callable[[Graph], bool]
Batches = Sequence[tuple[Tensor, Tensor]]

MOST_GIVEN_BACK = 24
"""Groups that are tried to be made wider again once the bound is kept."""

SCANNED = 64
"""Prefixes of the order that are looked at one after the other where that takes milliseconds."""


@dataclass(frozen=True)
class PruneSettings:
    """How to choose.

    Attributes:
        criterion: name of the importance criterion, see `importance.CRITERIA`.
        spread: ``global`` ranks all channels of the network together, ``uniform`` takes the same share from every layer.
        multiple: widths that the target likes; narrow layers keep a half, a quarter, … of it.
        min_channels: no layer gets narrower than this.
        floor: no layer keeps a smaller share of its channels than this.
        keep: names of layers whose outputs are not pruned.
        seed: for criteria that draw numbers.
    """

    criterion: str = "magnitude"
    multiple: int = 8
    min_channels: int = 4
    floor: float = 0.1
    keep: tuple[str, ...] = ()
    seed: int = 0
    allocation: str = "global"

    def __post_init__(self) -> None:
        criterion(self.criterion)
        if self.allocation not in ALLOCATIONS:
            raise UsageError(f"There is no allocation {self.allocation!r}. Known: {', '.join(ALLOCATIONS)}.")
        if self.multiple < 1 or self.min_channels < 1:
            raise UsageError("`multiple` and `min_channels` start at 1.")
        if not 0 <= self.floor <= 1:
            raise UsageError(f"`floor` is a share between 0 and 1, not {self.floor}.")


@dataclass(frozen=True)
class PrunePlan:
    """The channel classes of a graph that go. It holds for every graph of the same structure, whatever its weights."""

    coupling: Coupling
    classes: tuple[int, ...]

    def apply(self, graph: Graph) -> Graph:
        """`graph` without the channels."""
        return remove(graph, self.classes, self.coupling)


def prune(
    network: GraphNetwork,
    *,
    budget: str | Budget | None = None,
    macs: float | None = None,
    params: float | None = None,
    ratios: Mapping[str, float] | None = None,
    settings: PruneSettings | None = None,
    batches: Batches = (),
    evaluate: Evaluate | None = None,
) -> GraphNetwork:
    """A narrower copy of `network` that keeps the bounds; names, mode and `info` are the same, weights are copied.

    Args:
        network: a float network.
        budget: limits such as ``macs<=50%, params<=1M``; percentages are of `network`. Size and parameters are those of
            the float network with batch normalization folded. A latency is predicted from its target's latency table, and
            channel counts are then those at which that table has its steps.
        macs: multiply-adds to keep, as a share of the network's, above 0 and up to 1.
        params: parameters to keep, likewise, of the network as it is.
        ratios: in place of bounds: by name of a layer, the share of its output channels that goes.
        settings: how to choose the channels.
        batches: labelled images for criteria that need them, (N, C, H, W) and what the loss takes.
        evaluate: the accuracy of a graph. If it is given, each layer is narrowed alone to see what that costs, and layers
            that are sensitive lose less (Li et al., "Pruning Filters for Efficient ConvNets", section 3.2).

    Raises:
        UsageError: no bound or one out of range, an unknown layer, a quantized network, or a target without latency table.
        BudgetNotMet: not even the narrowest network that the settings allow keeps the bounds.
    """
    return prune_with_report(
        network,
        budget=budget,
        macs=macs,
        params=params,
        ratios=ratios,
        settings=settings,
        batches=batches,
        evaluate=evaluate,
    )[0]


def prune_with_report(
    network: GraphNetwork,
    *,
    budget: str | Budget | None = None,
    macs: float | None = None,
    params: float | None = None,
    ratios: Mapping[str, float] | None = None,
    settings: PruneSettings | None = None,
    batches: Batches = (),
    evaluate: Evaluate | None = None,
) -> tuple[GraphNetwork, PruneReport]:
    """As `prune`, with the widths and costs before and after."""
    graph = network.graph
    if ratios is not None:
        if (budget, macs, params) != (None, None, None):
            raise UsageError("Pass either bounds or `ratios`: ratios say how narrow each layer becomes.")
        found = plan_ratios(graph, ratios, settings, batches=batches)
    else:
        bounds = _bounds(graph, budget, macs, params)
        sensitivity = None if evaluate is None else sensitivity_of(graph, evaluate, settings, batches=batches)
        found = plan(
            graph,
            bounds.fit,
            settings,
            batches=batches,
            by_shape=bounds.by_shape,
            sensitivity=sensitivity,
            seconds=bounds.seconds,
        )
    pruned = found.apply(graph)
    return GraphNetwork(pruned, network.info).train(network.training), PruneReport.of(graph, pruned)


def _bounds(graph: Graph, budget: str | Budget | None, macs: float | None, params: float | None) -> Bounds:
    """All bounds together; shares are of the cost of `graph`."""
    if budget is None and macs is None and params is None:
        raise UsageError(
            'Pruning needs a bound: pass `budget`, such as "macs<=50%", or `macs` or `params`, the share to keep.'
        )
    found = bounds_of(graph, budget) if budget is not None else Bounds((), by_shape=True)
    checks = list(found.checks)
    for name, share, cost in (("macs", macs, total_madds), ("params", params, parameters)):
        if share is not None:
            if not 0 < share <= 1:
                raise UsageError(f"`{name}` is the share to keep, above 0 and up to 1, not {share}.")
            checks.append(partial(_is_within, cost, share * cost(graph)))
    return Bounds(tuple(checks), found.by_shape, found.seconds)


def _is_within(cost: Measure, bound: float, graph: Graph) -> bool:
    return cost(graph) <= bound


def plan(
    graph: Graph,
    fits: Fits,
    settings: PruneSettings | None = None,
    *,
    batches: Batches = (),
    by_shape: bool = False,
    sensitivity: Sensitivity | None = None,
    seconds: Measure | None = None,
) -> PrunePlan:
    """Choose channels so that `fits(pruned graph)` holds and as little as possible is lost.

    Args:
        graph: a float graph.
        fits: any bound: a file size, a latency, a count. What fits should still fit when more is removed, unless shapes are
            enough. It is asked some fifteen times to find what must go, up to `SCANNED` times more where shapes are enough,
            then up to `MOST_GIVEN_BACK` times to give some of it back.
        settings: how to choose the channels.
        batches: labelled images for criteria that need them.
        by_shape: `fits` looks at nothing but shapes; it is then shown graphs without values, which is much faster.
        sensitivity: of the groups of this graph; it takes the place of the spread of the settings.
        seconds: the latency of a graph on the target; widths are then those at which it has its steps, in place of the
            multiple of the settings.

    Raises:
        UsageError: an unknown layer in `keep`, or a quantized graph.
        BudgetNotMet: none of the narrower networks that the settings allow fits.
    """
    coupling = couple(graph)
    order = ordered(graph, coupling, settings or PruneSettings(), batches, sensitivity, seconds)
    narrowed = MetaGraph.of(graph, coupling).without if by_shape else partial(remove, graph, coupling=coupling)
    trial = partial(_trial, lambda classes: fits(narrowed(classes)), order)
    fewest = _fewest(order, trial, SCANNED if by_shape else 1)
    if fewest is None:
        raise _not_met(graph, coupling, order)
    counts = _give_back(order, fewest, trial)
    return PrunePlan(coupling, order.classes(counts))


def plan_ratios(
    graph: Graph, ratios: Mapping[str, float], settings: PruneSettings | None = None, *, batches: Batches = ()
) -> PrunePlan:
    """The least important channels of each named layer, as many as `ratios` says; see `ratios.counts_of` for what it raises."""
    coupling = couple(graph)
    order = ordered(graph, coupling, settings or PruneSettings(), batches)
    return PrunePlan(coupling, order.classes(counts_of(order, coupling, ratios)))


def sensitivity_of(
    graph: Graph,
    evaluate: Evaluate,
    settings: PruneSettings | None = None,
    *,
    batches: Batches = (),
    shares: Sequence[float] = SHARES,
) -> Sensitivity:
    """The sensitivity of each channel group of `graph` to losing `shares`, its channels ranked by the settings' criterion."""
    coupling = couple(graph)
    order = ordered(graph, coupling, settings or PruneSettings(), batches)
    return measure_sensitivity(graph, coupling, order, evaluate, shares)


def ordered(
    graph: Graph,
    coupling: Coupling,
    settings: PruneSettings,
    batches: Batches = (),
    sensitivity: Sensitivity | None = None,
    seconds: Measure | None = None,
) -> Schedule:
    """Every unit that may go, in the order in which units go; see `plan` for the arguments.

    Raises:
        UsageError: an unknown layer in `keep`, or a criterion without the images that it needs.
    """
    unknown = sorted(set(settings.keep) - {layer.node for layer in coupling.layers})
    if unknown:
        raise UsageError(f"No convolution or linear layer is called {', '.join(map(repr, unknown))}.")
    evidence = CriterionData(batches=tuple(batches), seed=settings.seed)
    scores = criterion(settings.criterion)(graph, coupling, evidence)
    groups = channel_groups(coupling, scores, settings.keep)
    return schedule(
        coupling,
        groups,
        scores,
        multiple=settings.multiple,
        min_channels=settings.min_channels,
        floor=settings.floor,
        allocation=sensitivity.allocation if sensitivity else ALLOCATIONS[settings.allocation],
        widths=efficient_widths(MetaGraph.of(graph, coupling, at_inference=True), groups, seconds) if seconds else (),
    )


def _trial(fits: Callable[[tuple[int, ...]], bool], order: Schedule, counts: Counts) -> bool:
    return fits(order.classes(counts))


def _fewest(order: Schedule, trial: Callable[[Counts], bool], scanned: int = 1) -> Counts | None:
    """The counts of the shortest prefix of the order that fits; None if none does.

    A latency may rise when a channel goes, and need not be the least where most of them have gone, so the search by halves
    ends at the first of `scanned` prefixes that fits.
    """
    low, whole = 0, len(order.order)
    for place in range(1, scanned + 1):
        high = place * whole // scanned
        if trial(order.counts(high)):
            return order.counts(low + bisect_left(range(low, high), True, key=lambda end: trial(order.counts(end))))
        low = high + 1
    return None


def _give_back(order: Schedule, counts: Counts, trial: Callable[[Counts], bool]) -> Counts:
    """Widen groups again by a step where the bound allows it, the group whose step is worth most first."""
    worth = []
    for group, count in enumerate(counts):
        back = order.rounded(group, max(0, count - 1))
        if back < count:
            scores = [score for score, _ in order.leaving(group)[back:count]]
            worth.append((-sum(scores) / len(scores), group, back))
    for _, group, back in sorted(worth)[:MOST_GIVEN_BACK]:
        wider = (*counts[:group], back, *counts[group + 1 :])
        if trial(wider):
            counts = wider
    return counts


def _not_met(graph: Graph, coupling: Coupling, order: Schedule) -> BudgetNotMet:
    closest = PruneReport.of(graph, remove(graph, order.classes(order.counts(len(order.order))), coupling))
    return BudgetNotMet(
        f"Pruning cannot keep this bound. The narrowest network that the settings allow keeps {closest.madds_kept:.1%} of the "
        f"multiply-adds ({closest.madds_after:,}) and {closest.parameters_kept:.1%} of the parameters "
        f"({closest.parameters_after:,}).{why_frozen(graph, coupling)} "
        "Lower `min_channels` or `floor`, or start from a smaller network."
    )

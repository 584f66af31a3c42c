"""Structured pruning to a bound: the least important channels are removed until the network meets it.

Five parts can be exchanged separately: channel removal (`coupling.remove`), channel coupling (`coupling.couple`), importance
(`importance`), allocation over layers (`allocation`), and the amount (`schedule` and the search in this module).
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from pocketcnn.compression.coupling import Coupling, channel_groups, couple, remove, why_frozen
from pocketcnn.compression.pruning.allocation import (
    ALLOCATIONS,
    RATIOS,
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

MAX_REGROWN_GROUPS = 24
"""Groups that are tested for a wider setting once the bound is met."""

PREFIXES_SCANNED = 64
"""Prefixes of the pruning order that are tested one after another if a test takes milliseconds."""


@dataclass(frozen=True)
class PruneSettings:
    """Which channels are pruned, and how narrow layers may become.

    Attributes:
        criterion: name of the importance criterion, see `importance.CRITERIA`.
        multiple: widths are multiples of this; narrow layers use a half, a quarter, … of it.
        min_channels: the smallest number of channels of a layer.
        floor: the smallest share of its channels that a layer keeps, 0 to 1.
        keep: names of layers whose outputs are not pruned.
        seed: of criteria that draw random numbers.
        allocation: ``global`` ranks all channels of the network together; ``uniform`` prunes the same share of every layer.
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
            raise UsageError(f"There is no allocation {self.allocation!r}. Choose one of {', '.join(ALLOCATIONS)}.")
        if self.multiple < 1 or self.min_channels < 1:
            raise UsageError("`multiple` and `min_channels` must be at least 1.")
        if not 0 <= self.floor <= 1:
            raise UsageError(f"`floor` must be a share between 0 and 1, not {self.floor}.")


@dataclass(frozen=True)
class PrunePlan:
    """The channel classes of a graph to remove. It applies to every graph of the same structure, whatever its weights."""

    coupling: Coupling
    classes: tuple[int, ...]

    def apply(self, graph: Graph) -> Graph:
        """`graph` without these channels."""
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
    """A pruned copy of `network` that meets the bounds. Names, mode and `info` stay the same; weights are copied.

    Args:
        network: a captured float network.
        budget: limits such as ``macs<=50%, params<=1M``; percentages are relative to `network`. Size and parameters are those
            of the float network with batch normalization folded. A latency is predicted from the latency table of its target;
            widths are then those at which the latency drops.
        macs: share of the network's multiply-adds to keep, above 0 and at most 1.
        params: share of the network's parameters to keep, likewise, without folding.
        ratios: in place of bounds: by name of a layer, the share of its output channels to remove.
        settings: criterion, allocation and width limits.
        batches: labelled images for criteria that need them, (N, C, H, W) and what the loss takes.
        evaluate: the accuracy of a graph. If given, the sensitivity of each layer is measured, and sensitive layers are
            pruned less (Li et al., "Pruning Filters for Efficient ConvNets", section 3.2).

    Raises:
        UsageError: no bound or one out of range, an unknown layer, a quantized network, or a target without latency table.
        BudgetNotMet: even the smallest network that the settings allow misses the bounds.
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
    """Like `prune`, and also returns widths and costs before and after."""
    graph = network.graph
    if ratios is not None:
        if (budget, macs, params) != (None, None, None):
            raise UsageError(
                "Pass either bounds or `ratios`, not both: ratios already determine the width of each layer."
            )
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
    """All bounds; shares are relative to the cost of `graph`."""
    if budget is None and macs is None and params is None:
        raise UsageError(
            'Pruning needs a bound. Pass `budget`, such as "macs<=50%", or the share to keep as `macs` or `params`.'
        )
    found = bounds_of(graph, budget) if budget is not None else Bounds((), by_shape=True)
    checks = list(found.checks)
    for name, share, cost in (("macs", macs, total_madds), ("params", params, parameters)):
        if share is not None:
            if not 0 < share <= 1:
                raise UsageError(f"`{name}` must be the share to keep, above 0 and at most 1, not {share}.")
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
    """Choose channels to remove so that `fits(pruned graph)` holds and as little importance as possible is lost.

    Args:
        graph: a float graph.
        fits: any bound: a file size, a latency, a count. Unless it depends on shapes only, it should stay true when more is
            removed. It is called about 15 times to find how much to remove, up to `PREFIXES_SCANNED` times more if it depends
            on shapes only, and up to `MAX_REGROWN_GROUPS` times to widen groups again.
        settings: criterion, allocation and width limits.
        batches: labelled images for criteria that need them.
        by_shape: `fits` depends on shapes only. It then gets graphs without weight values, which is much faster.
        sensitivity: of the groups of this graph; replaces the allocation of the settings.
        seconds: the latency function of the target; widths are then those at which the latency drops, in place of multiples.

    Raises:
        UsageError: an unknown layer in `keep`, or a quantized graph.
        BudgetNotMet: no pruned network that the settings allow fits.
    """
    coupling = couple(graph)
    order = ordered(graph, coupling, settings or PruneSettings(), batches, sensitivity, seconds)
    pruned = MetaGraph.of(graph, coupling).without if by_shape else partial(remove, graph, coupling=coupling)
    trial = partial(_trial, lambda classes: fits(pruned(classes)), order)
    counts = _smallest_prefix(order, trial, PREFIXES_SCANNED if by_shape else 1)
    if counts is None:
        raise _not_met(graph, coupling, order)
    counts = _regrow(order, counts, trial)
    return PrunePlan(coupling, order.classes(counts))


def plan_ratios(
    graph: Graph, ratios: Mapping[str, float], settings: PruneSettings | None = None, *, batches: Batches = ()
) -> PrunePlan:
    """Remove the least important channels of each named layer, as many as `ratios` says. Raises as `allocation.counts_of`
    does.
    """
    coupling = couple(graph)
    order = ordered(graph, coupling, settings or PruneSettings(), batches)
    return PrunePlan(coupling, order.classes(counts_of(order, coupling, ratios)))


def sensitivity_of(
    graph: Graph,
    evaluate: Evaluate,
    settings: PruneSettings | None = None,
    *,
    batches: Batches = (),
    shares: Sequence[float] = RATIOS,
) -> Sensitivity:
    """The accuracy of `graph` when each channel group loses each of the `shares` of its units, ranked by the settings'
    criterion.
    """
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
    """The pruning schedule: every unit that may be removed, least important first; see `plan` for the arguments.

    Raises:
        UsageError: an unknown layer in `keep`, or a criterion without the images that it needs.
    """
    unknown = sorted(set(settings.keep) - {layer.node for layer in coupling.layers})
    if unknown:
        raise UsageError(f"No convolution or linear layer is called {', '.join(map(repr, unknown))}.")
    data = CriterionData(batches=tuple(batches), seed=settings.seed)
    scores = criterion(settings.criterion)(graph, coupling, data)
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


def _smallest_prefix(order: Schedule, trial: Callable[[Counts], bool], scanned: int = 1) -> Counts | None:
    """The counts of the shortest prefix of the order that fits; None if there is none.

    A latency may rise when a channel is removed, and may not be lowest at the end of the order. So bisection runs below the
    first of `scanned` evenly spaced prefixes that fits.
    """
    low, whole = 0, len(order.order)
    for place in range(1, scanned + 1):
        high = place * whole // scanned
        if trial(order.counts(high)):
            return order.counts(low + bisect_left(range(low, high), True, key=lambda end: trial(order.counts(end))))
        low = high + 1
    return None


def _regrow(order: Schedule, counts: Counts, trial: Callable[[Counts], bool]) -> Counts:
    """Widen groups again by one step if the bound allows it, the group with the most important step first."""
    candidates = []
    for group, count in enumerate(counts):
        fewer = order.rounded(group, max(0, count - 1))
        if fewer < count:
            scores = [score for score, _ in order.removable_units(group)[fewer:count]]
            candidates.append((-sum(scores) / len(scores), group, fewer))
    for _, group, fewer in sorted(candidates)[:MAX_REGROWN_GROUPS]:
        wider = (*counts[:group], fewer, *counts[group + 1 :])
        if trial(wider):
            counts = wider
    return counts


def _not_met(graph: Graph, coupling: Coupling, order: Schedule) -> BudgetNotMet:
    closest = PruneReport.of(graph, remove(graph, order.classes(order.counts(len(order.order))), coupling))
    return BudgetNotMet(
        f"Pruning cannot meet this bound. The smallest network that the settings allow keeps {closest.madds_kept:.1%} of the "
        f"multiply-adds ({closest.madds_after:,}) and {closest.parameters_kept:.1%} of the parameters "
        f"({closest.parameters_after:,}).{why_frozen(graph, coupling)} "
        "Lower `min_channels` or `floor`, or start from a smaller network."
    )

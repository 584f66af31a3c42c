"""Structured pruning to a bound: the least important channels go until the network fits, and are really removed.

Four parts that can be exchanged alone: how to cut (`coupling.remove`), what is coupled (`coupling.couple`), what matters
(`importance`), how much (`schedule` and the search here).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from pocketcnn.compression.coupling import Coupling, channel_groups, couple, remove
from pocketcnn.compression.importance import Evidence, criterion
from pocketcnn.compression.prune_report import PruneReport, parameters, total_madds
from pocketcnn.compression.schedule import Counts, Schedule, schedule
from pocketcnn.errors import BudgetNotMet, UsageError
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.network import GraphNetwork

Fits = Callable[[Graph], bool]

MOST_GIVEN_BACK = 24
"""Groups that are tried to be made wider again once the bound is kept."""


@dataclass(frozen=True)
class PruneSettings:
    """How to choose.

    Attributes:
        criterion: name of the importance criterion, see `importance.CRITERIA`.
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

    def __post_init__(self) -> None:
        criterion(self.criterion)
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
    macs: float | None = None,
    params: float | None = None,
    settings: PruneSettings | None = None,
    batches: Sequence[tuple[Tensor, Tensor]] = (),
) -> GraphNetwork:
    """A narrower copy of `network` that keeps the bounds; names, mode and `info` are the same, weights are copied.

    Args:
        network: a float network.
        macs: multiply-adds to keep, as a share of the network's, above 0 and up to 1.
        params: parameters to keep, likewise.
        settings: how to choose the channels.
        batches: labelled images for criteria that need them, (N, C, H, W) and what the loss takes.

    Raises:
        UsageError: no bound or one out of range, an unknown layer in `keep`, or a quantized network.
        BudgetNotMet: not even the narrowest network that the settings allow keeps the bounds.
    """
    return prune_with_report(network, macs=macs, params=params, settings=settings, batches=batches)[0]


def prune_with_report(
    network: GraphNetwork,
    *,
    macs: float | None = None,
    params: float | None = None,
    settings: PruneSettings | None = None,
    batches: Sequence[tuple[Tensor, Tensor]] = (),
) -> tuple[GraphNetwork, PruneReport]:
    """As `prune`, with the widths and costs before and after."""
    graph = network.graph
    fits = _keeps(graph, macs, params)
    found = plan(graph, fits, settings, batches=batches, by_shape=True)
    pruned = found.apply(graph)
    return GraphNetwork(pruned, network.info).train(network.training), PruneReport.of(graph, pruned)


def _keeps(graph: Graph, macs: float | None, params: float | None) -> Fits:
    """Whether a graph keeps the shares of the cost of `graph`."""
    if macs is None and params is None:
        raise UsageError("Pruning needs a bound: pass `macs` or `params`, the share to keep.")
    bounds = []
    for name, share, cost in (("macs", macs, total_madds), ("params", params, parameters)):
        if share is not None:
            if not 0 < share <= 1:
                raise UsageError(f"`{name}` is the share to keep, above 0 and up to 1, not {share}.")
            bounds.append((cost, share * cost(graph)))
    return lambda pruned: all(cost(pruned) <= bound for cost, bound in bounds)


def plan(
    graph: Graph,
    fits: Fits,
    settings: PruneSettings | None = None,
    *,
    batches: Sequence[tuple[Tensor, Tensor]] = (),
    by_shape: bool = False,
) -> PrunePlan:
    """Choose channels so that `fits(pruned graph)` holds and as little as possible is lost.

    Args:
        graph: a float graph.
        fits: any bound: a file size, a latency, a count. What fits must still fit when more is removed. It is
            asked some fifteen times to find what must go, then up to `MOST_GIVEN_BACK` times to give some of it back.
        settings: how to choose the channels.
        batches: labelled images for criteria that need them.
        by_shape: `fits` looks at nothing but shapes; it is then shown graphs without values, which is much faster.

    Raises:
        UsageError: an unknown layer in `keep`, or a quantized graph.
        BudgetNotMet: not even the narrowest network that the settings allow fits.
    """
    settings = settings or PruneSettings()
    coupling = couple(graph)
    order = _schedule(graph, coupling, settings, Evidence(batches=tuple(batches), seed=settings.seed))
    shown = _outline(graph) if by_shape else graph
    trial = partial(_trial, lambda classes: fits(remove(shown, classes, coupling)), order)
    if not trial(order.counts(len(order.order))):
        raise _not_met(graph, coupling, order)
    counts = _give_back(order, _fewest(order, trial), trial)
    return PrunePlan(coupling, order.classes(counts))


def _schedule(graph: Graph, coupling: Coupling, settings: PruneSettings, evidence: Evidence) -> Schedule:
    unknown = sorted(set(settings.keep) - {layer.node for layer in coupling.layers})
    if unknown:
        raise UsageError(f"No convolution or linear layer is called {', '.join(map(repr, unknown))}.")
    scores = criterion(settings.criterion)(graph, coupling, evidence)
    groups = channel_groups(coupling, scores, settings.keep)
    limits = {"multiple": settings.multiple, "min_channels": settings.min_channels}
    return schedule(coupling, groups, scores, **limits, floor=settings.floor)


def _outline(graph: Graph) -> Graph:
    """The graph with shapes alone: no value of a weight is stored."""
    outlined = {
        name: tensor.to("meta") if tensor.is_floating_point() else tensor for name, tensor in graph.tensors.items()
    }
    return graph.rebuilt(tensors=outlined)


def _trial(fits: Callable[[tuple[int, ...]], bool], order: Schedule, counts: Counts) -> bool:
    return fits(order.classes(counts))


def _fewest(order: Schedule, trial: Callable[[Counts], bool]) -> Counts:
    """The counts of the shortest prefix of the order that fits."""
    low, high = 0, len(order.order)  # high fits
    while low < high:
        middle = (low + high) // 2
        if trial(order.counts(middle)):
            high = middle
        else:
            low = middle + 1
    return order.counts(high)


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
        f"({closest.parameters_after:,}). Lower `min_channels` or `floor`, or start from a smaller network."
    )

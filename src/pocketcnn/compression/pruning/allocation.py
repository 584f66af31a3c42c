"""Allocation of pruning over layers: by a global ranking, uniformly, by given ratios, or by measured sensitivity."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from pocketcnn.compression.coupling import ChannelGroup, Coupling, remove
from pocketcnn.compression.pruning.schedule import Allocation, Counts, Schedule, Scored, globally
from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph


def uniformly(group: ChannelGroup, units: Scored) -> list[float]:  # noqa: ARG001
    """The same pruning ratio in each group; scores decide only within a group."""
    return [(rank + 1) / len(units) if isfinite(score) else score for rank, (score, _) in enumerate(units)]


ALLOCATIONS: dict[str, Allocation] = {"global": globally, "uniform": uniformly}


def counts_of(order: Schedule, coupling: Coupling, ratios: Mapping[str, float]) -> Counts:
    """How many units each group loses, so that each layer in `ratios` loses its share of output channels, rounded to allowed
    widths.

    A layer without a ratio keeps its channels, unless they are coupled to those of a layer with one.

    Raises:
        UsageError: a layer is unknown or cannot be pruned, a ratio is out of range, or coupled layers have different ratios.
    """
    _check(order, coupling, ratios)
    counts = []
    for index, group in enumerate(order.groups):
        shares = {layer: ratios[layer] for layer in group.width if layer in ratios}
        if len(set(shares.values())) > 1:
            given = ", ".join(f"{layer!r}: {share:g}" for layer, share in shares.items())
            raise UsageError(f"The channels of these layers are coupled, so the layers need the same ratio: {given}.")
        share = next(iter(shares.values()), 0.0)
        allowed = len(order.removable_units(index))
        counts.append(order.rounded(index, min(allowed, round(share * len(group.units)))))
    return tuple(counts)


def _check(order: Schedule, coupling: Coupling, ratios: Mapping[str, float]) -> None:
    layers = {layer.node for layer in coupling.layers}
    if unknown := sorted(set(ratios) - layers):
        raise UsageError(f"No convolution or linear layer is called {', '.join(map(repr, unknown))}.")
    fixed = sorted(set(ratios) - {layer for group in order.groups for layer in group.width})
    if fixed:
        reasons = [f"{layer!r} ({_reason(coupling, layer)})" for layer in fixed]
        raise UsageError(f"These layers cannot be pruned: {', '.join(reasons)}.")
    for layer, share in ratios.items():
        if not 0 <= share < 1:
            raise UsageError(f"The pruning ratio of {layer!r} is {share}; it must be at least 0 and below 1.")


def _reason(coupling: Coupling, name: str) -> str:
    """Why a layer cannot be pruned by itself."""
    layer = next(layer for layer in coupling.layers if layer.node == name)
    frozen = next((coupling.frozen[item] for item in layer.outputs.tolist() if item in coupling.frozen), None)
    if frozen is not None:
        return frozen
    return "its channels follow those of its input" if layer.depthwise_like else "the settings keep it"


RATIOS = (0.125, 0.25, 0.5, 0.75, 0.875)
TIE_BREAK = 1e-6
"""Orders units whose pruning costs no accuracy: groups with the smaller pruned share come first."""

Evaluate = Callable[[Graph], float]
"""The accuracy of a graph on validation images, 0 to 1; any other score works if higher is better."""


@dataclass(frozen=True)
class Sensitivity:
    """Accuracy as a function of the pruned share of each channel group.

    Attributes:
        whole: accuracy of the unpruned network.
        curves: by the layers of a group, (pruned share of its units, accuracy) in ascending order of the share.
    """

    whole: float
    curves: Mapping[tuple[str, ...], tuple[tuple[float, float], ...]]

    def allocation(self, group: ChannelGroup, units: Scored) -> list[float]:
        """Rank units by the accuracy lost when their group is pruned up to them; a group without a curve comes last."""
        curve = self.curves.get(tuple(group.width), ((1.0, 0.0),))
        shares = [0.0, *(share for share, _ in curve)]
        losses = np.maximum.accumulate([0.0, *(max(0.0, self.whole - accuracy) for _, accuracy in curve)])
        gone = [(rank + 1) / len(units) for rank in range(len(units))]
        keys = np.interp(gone, shares, losses) + TIE_BREAK * np.array(gone)
        return [float(key) if isfinite(score) else score for key, (score, _) in zip(keys, units, strict=True)]


def measure_sensitivity(
    graph: Graph, coupling: Coupling, order: Schedule, evaluate: Evaluate, shares: Sequence[float] = RATIOS
) -> Sensitivity:
    """Prune one group at a time by each of the `shares` of its units, least important first, and evaluate each network.

    Shares above what a group may lose (see `schedule`) are left out. Up to groups x shares networks are evaluated. Li et al.,
    "Pruning Filters for Efficient ConvNets" (ICLR 2017), section 3.2.

    Args:
        graph: the unpruned graph.
        coupling: its channel coupling.
        order: its pruning schedule.
        evaluate: accuracy of a graph, 0 to 1.
        shares: pruned shares to try, 0 to 1.
    """
    curves = {}
    for index, group in enumerate(order.groups):
        max_count = len(order.removable_units(index))
        lost = dict.fromkeys(min(max_count, round(share * len(group.units))) for share in shares)
        points = []
        for count in sorted(count for count in lost if count):
            counts = tuple(count if other == index else 0 for other in range(len(order.groups)))
            pruned = remove(graph, order.classes(counts), coupling)
            points.append((count / len(group.units), evaluate(pruned)))
        if points:
            curves[tuple(group.width)] = tuple(points)
    return Sensitivity(evaluate(graph), curves)

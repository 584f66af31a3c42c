"""How pruning is allocated over the layers: one global ranking, uniformly, by given ratios, or by measured sensitivity."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from pocketcnn.compression.coupling import ChannelGroup, Coupling, remove
from pocketcnn.compression.pruning.schedule import Allocation, Counts, Schedule, Scored, globally
from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph


def uniformly(group: ChannelGroup, units: Scored) -> list[float]:  # noqa: ARG001
    """The same share of each group; scores decide within a group only."""
    return [(rank + 1) / len(units) if isfinite(score) else score for rank, (score, _) in enumerate(units)]


ALLOCATIONS: dict[str, Allocation] = {"global": globally, "uniform": uniformly}


def counts_of(order: Schedule, coupling: Coupling, ratios: Mapping[str, float]) -> Counts:
    """How many units each group loses so that each layer of `ratios` loses its share of output channels, rounded to widths.

    A layer that is not named keeps its channels, unless they go together with those of a named one.

    Raises:
        UsageError: an unknown layer, one of which nothing can go, a share out of range, or two shares for layers whose
            channels go together.
    """
    _check(order, coupling, ratios)
    counts = []
    for place, group in enumerate(order.groups):
        shares = {layer: ratios[layer] for layer in group.width if layer in ratios}
        if len(set(shares.values())) > 1:
            given = ", ".join(f"{layer!r}: {share:g}" for layer, share in shares.items())
            raise UsageError(f"The channels of these layers go together, so they need one ratio: {given}.")
        share = next(iter(shares.values()), 0.0)
        allowed = len(order.leaving(place))
        counts.append(order.rounded(place, min(allowed, round(share * len(group.units)))))
    return tuple(counts)


def _check(order: Schedule, coupling: Coupling, ratios: Mapping[str, float]) -> None:
    layers = {layer.node for layer in coupling.layers}
    if unknown := sorted(set(ratios) - layers):
        raise UsageError(f"No convolution or linear layer is called {', '.join(map(repr, unknown))}.")
    fixed = sorted(set(ratios) - {layer for group in order.groups for layer in group.width})
    if fixed:
        reasons = [f"{layer!r} ({_reason(coupling, layer)})" for layer in fixed]
        raise UsageError(f"No channels of {', '.join(reasons)} can be removed.")
    for layer, share in ratios.items():
        if not 0 <= share < 1:
            raise UsageError(
                f"The ratio of {layer!r} is the share of channels that goes, from 0 to below 1, not {share}."
            )


def _reason(coupling: Coupling, name: str) -> str:
    """Why a layer loses no channels by itself."""
    layer = next(layer for layer in coupling.layers if layer.node == name)
    frozen = next((coupling.frozen[item] for item in layer.outputs.tolist() if item in coupling.frozen), None)
    if frozen is not None:
        return frozen
    return "they follow the channels that it reads" if layer.passes else "they are kept, as the settings say"


SHARES = (0.125, 0.25, 0.5, 0.75, 0.875)
PER_SHARE = 1e-6
"""Keeps the order of units that cost nothing: those go first of which the smaller share is gone."""

Evaluate = Callable[[Graph], float]
"""The accuracy of a graph on validation images, from 0 to 1; or anything else of which more is better."""


@dataclass(frozen=True)
class Sensitivity:
    """Curves of accuracy over the share of a group that is gone.

    Attributes:
        whole: the accuracy of the unpruned network.
        curves: by the layers of a group, (share of its units that is gone, accuracy), from small to large shares.
    """

    whole: float
    curves: Mapping[tuple[str, ...], tuple[tuple[float, float], ...]]

    def allocation(self, group: ChannelGroup, units: Scored) -> list[float]:
        """A unit goes when the accuracy that its group costs up to it is the lowest; a group without a curve goes last."""
        curve = self.curves.get(tuple(group.width), ((1.0, 0.0),))
        shares = [0.0, *(share for share, _ in curve)]
        losses = np.maximum.accumulate([0.0, *(max(0.0, self.whole - accuracy) for _, accuracy in curve)])
        gone = [(rank + 1) / len(units) for rank in range(len(units))]
        keys = np.interp(gone, shares, losses) + PER_SHARE * np.array(gone)
        return [float(key) if isfinite(score) else score for key, (score, _) in zip(keys, units, strict=True)]


def measure_sensitivity(
    graph: Graph, coupling: Coupling, order: Schedule, evaluate: Evaluate, shares: Sequence[float] = SHARES
) -> Sensitivity:
    """Narrow one group after the other by `shares` of its units, least important first, and evaluate the network.

    Shares that a group may not lose (see `schedule`) are left out. It evaluates up to groups x shares networks.
    """
    curves = {}
    for place, group in enumerate(order.groups):
        most = len(order.leaving(place))
        lost = dict.fromkeys(min(most, round(share * len(group.units))) for share in shares)
        points = []
        for count in sorted(count for count in lost if count):
            counts = tuple(count if other == place else 0 for other in range(len(order.groups)))
            narrowed = remove(graph, order.classes(counts), coupling)
            points.append((count / len(group.units), evaluate(narrowed)))
        if points:
            curves[tuple(group.width)] = tuple(points)
    return Sensitivity(evaluate(graph), curves)

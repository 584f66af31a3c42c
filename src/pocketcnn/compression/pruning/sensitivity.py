"""How much accuracy each channel group costs when it alone is made narrower: the classic way to choose ratios layer by layer.

Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017, section 3.2: layers that are sensitive are pruned less.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from pocketcnn.compression.pruning.allocation import Scored
from pocketcnn.compression.pruning.coupling import ChannelGroup, Coupling, remove
from pocketcnn.compression.pruning.schedule import Schedule
from pocketcnn.graph import Graph

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

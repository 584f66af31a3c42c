"""Channel groups: what a pruner chooses from. A unit is the smallest set of channels that can be pruned by itself."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from pocketcnn.compression.coupling.balance import Unit, balanced_units
from pocketcnn.compression.coupling.coupling import Coupling


@dataclass(frozen=True)
class ChannelGroup:
    """Interchangeable units: removing any one of them narrows the same layers by the same number of channels.

    Attributes:
        width: the layers that produce the channels, and how many output channels a unit takes from each. Depthwise
            convolutions follow their input and are not listed.
        units: the units of the group.
    """

    width: Mapping[str, int]
    units: tuple[Unit, ...]


def channel_groups(
    coupling: Coupling, scores: Mapping[int, float] | None = None, keep: Collection[str] = ()
) -> tuple[ChannelGroup, ...]:
    """All prunable channels, as groups of units in the order of the layers that produce them.

    Args:
        coupling: of the graph to prune.
        scores: importance of each class. If classes must be combined only to keep groups equally wide, classes of similar
            importance are combined. Without scores, earlier channels come first.
        keep: layers that lose no outputs.
    """
    classes = coupling.removable()
    for layer in coupling.layers:
        if layer.node in keep:
            classes = classes[~np.isin(classes, layer.outputs)]
    ranked = sorted(classes.tolist(), key=lambda item: (scores[item] if scores else 0.0, item))
    producers = _producers(coupling)
    groups: dict[tuple[tuple[str, int], ...], list[Unit]] = defaultdict(list)
    for unit in balanced_units(ranked, coupling.balances):
        groups[_width(unit, producers)].append(unit)
    order = {layer.node: index for index, layer in enumerate(coupling.layers)}
    return tuple(
        ChannelGroup(dict(width), tuple(sorted(units)))
        for width, units in sorted(groups.items(), key=lambda item: [order[layer] for layer, _ in item[0]])
    )


def _producers(coupling: Coupling) -> dict[int, dict[str, int]]:
    """Class -> the layers that produce its channels, and how many in each."""
    producers: dict[int, dict[str, int]] = defaultdict(dict)
    for layer in (layer for layer in coupling.layers if not layer.depthwise_like):
        for item, count in zip(*np.unique(layer.outputs, return_counts=True), strict=True):
            producers[int(item)][layer.node] = int(count)
    return producers


def _width(unit: Unit, producers: Mapping[int, Mapping[str, int]]) -> tuple[tuple[str, int], ...]:
    total: dict[str, int] = defaultdict(int)
    for item in unit:
        for layer, count in producers[item].items():
            total[layer] += count
    return tuple(total.items())

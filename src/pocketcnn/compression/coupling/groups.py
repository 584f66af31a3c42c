"""What a pruner chooses from: groups of units, each unit the smallest set of channels that can go alone."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from pocketcnn.compression.coupling.balance import Unit, balanced_units
from pocketcnn.compression.coupling.coupling import Coupling


@dataclass(frozen=True)
class ChannelGroup:
    """Units that can stand for each other: removing any one of them narrows the same layers by the same width.

    `width` maps the layers that make the channels to the number of output channels that a unit takes from each. (Layers
    that only pass channels on, depthwise convolutions, follow and are not named.)
    """

    width: Mapping[str, int]
    units: tuple[Unit, ...]


def channel_groups(
    coupling: Coupling, scores: Mapping[int, float] | None = None, keep: Collection[str] = ()
) -> tuple[ChannelGroup, ...]:
    """All removable channels, as groups of units in the order of the layers that make them.

    Args:
        coupling: of the graph to prune.
        scores: importance by class. Where several classes must go together only for the sake of equal groups,
            unimportant ones are put together with unimportant ones; without scores the earlier channels come together.
        keep: layers that lose no outputs.
    """
    classes = coupling.removable()
    for layer in coupling.layers:
        if layer.node in keep:
            classes = classes[~np.isin(classes, layer.outputs)]
    ranked = sorted(classes.tolist(), key=lambda item: (scores[item] if scores else 0.0, item))
    makers = _makers(coupling)
    groups: dict[tuple[tuple[str, int], ...], list[Unit]] = defaultdict(list)
    for unit in balanced_units(ranked, coupling.balances):
        groups[_width(unit, makers)].append(unit)
    order = {layer.node: place for place, layer in enumerate(coupling.layers)}
    return tuple(
        ChannelGroup(dict(width), tuple(sorted(units)))
        for width, units in sorted(groups.items(), key=lambda item: [order[layer] for layer, _ in item[0]])
    )


def _makers(coupling: Coupling) -> dict[int, dict[str, int]]:
    """Class -> the layers that make its channels, and how many each."""
    makers: dict[int, dict[str, int]] = defaultdict(dict)
    for layer in (layer for layer in coupling.layers if not layer.passes):
        for item, count in zip(*np.unique(layer.outputs, return_counts=True), strict=True):
            makers[int(item)][layer.node] = int(count)
    return makers


def _width(unit: Unit, makers: Mapping[int, Mapping[str, int]]) -> tuple[tuple[str, int], ...]:
    total: dict[str, int] = defaultdict(int)
    for item in unit:
        for layer, count in makers[item].items():
            total[layer] += count
    return tuple(total.items())

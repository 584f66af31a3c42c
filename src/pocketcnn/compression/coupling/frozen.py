"""Explains why layers cannot be pruned, for the message when a budget is not met."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from pocketcnn.compression.coupling.coupling import ANSWER, Coupling
from pocketcnn.graph.graph import Graph

MAX_REASONS = 3
"""How many reasons a message names, those with the most multiply-adds first."""

_NODE = re.compile(r" \(([^()]+)\)$")
"""The node name at the end of a reason."""


@dataclass(frozen=True)
class FrozenLayers:
    """Layers that keep all their output channels for the same reason.

    Attributes:
        reason: without node names.
        nodes: the nodes that cause it, if the reason is an operation.
        layers: names of the frozen layers.
        madds: their multiply-adds for one image.
    """

    reason: str
    nodes: tuple[str, ...]
    layers: tuple[str, ...]
    madds: int

    def __str__(self) -> str:
        more = f" and {len(self.nodes) - 1} more" if len(self.nodes) > 1 else ""
        return f"{self.reason} ({self.nodes[0]}{more})" if self.nodes else self.reason


def frozen_layers(graph: Graph, coupling: Coupling) -> tuple[FrozenLayers, ...]:
    """The layers that cannot lose output channels, by reason, the reason with the most multiply-adds first.

    The output layer is not included: its channels are the classes.
    """
    nodes: dict[str, dict[str, None]] = defaultdict(dict)
    layers: dict[str, list[str]] = defaultdict(list)
    for layer in coupling.layers:
        reasons = [coupling.frozen.get(item) for item in layer.outputs.tolist()]
        reasons_found = [reason for reason in reasons if reason is not None and reason != ANSWER]
        if None in reasons or not reasons_found:
            continue
        plain = _NODE.sub("", reasons_found[0])
        layers[plain].append(layer.node)
        nodes[plain].update(dict.fromkeys(_nodes(reasons_found)))
    found = [
        FrozenLayers(reason, tuple(nodes[reason]), tuple(names), sum(graph.madds(graph[name]) for name in names))
        for reason, names in layers.items()
    ]
    return tuple(sorted(found, key=lambda each: -each.madds))


def _nodes(reasons: Iterable[str]) -> list[str]:
    return [match.group(1) for reason in reasons if (match := _NODE.search(reason))]


def why_frozen(graph: Graph, coupling: Coupling) -> str:
    """A sentence, with a leading space, that says which layers cannot be pruned and why; empty if all can."""
    found = frozen_layers(graph, coupling)
    if not found:
        return ""
    count, total = sum(len(each.layers) for each in found), sum(graph.madds(node) for node in graph.nodes[1:]) or 1
    share = sum(each.madds for each in found) / total
    more = f"; and {len(found) - MAX_REASONS} more reasons" if len(found) > MAX_REASONS else ""
    return (
        f" {count} of {len(coupling.layers)} layers, with {share:.1%} of the multiply-adds, cannot be pruned: "
        f"{'; '.join(map(str, found[:MAX_REASONS]))}{more}."
    )

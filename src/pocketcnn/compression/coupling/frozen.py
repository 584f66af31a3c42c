"""Why layers keep all their channels: said where pruning ends before its bound."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from pocketcnn.compression.coupling.coupling import ANSWER, Coupling
from pocketcnn.graph.graph import Graph

MOST_NAMED = 3
"""Reasons that are spelled out, those with most multiply-adds."""

_NODE = re.compile(r" \(([^()]+)\)$")
"""The node at the end of a reason that names an operation."""


@dataclass(frozen=True)
class FrozenLayers:
    """Layers that keep all their output channels for one reason.

    Attributes:
        reason: without the nodes that it is about; nodes: those, where the reason is an operation.
        layers: names of the layers; madds: what they multiply and add, for one image.
    """

    reason: str
    nodes: tuple[str, ...]
    layers: tuple[str, ...]
    madds: int

    def __str__(self) -> str:
        more = f" and {len(self.nodes) - 1} more" if len(self.nodes) > 1 else ""
        return f"{self.reason} ({self.nodes[0]}{more})" if self.nodes else self.reason


def frozen_layers(graph: Graph, coupling: Coupling) -> tuple[FrozenLayers, ...]:
    """The layers of which no output channel may go, by reason, the reason with most multiply-adds first.

    The layer that gives the answer is not among them: its channels are the classes.
    """
    nodes: dict[str, dict[str, None]] = defaultdict(dict)
    layers: dict[str, list[str]] = defaultdict(list)
    for layer in coupling.layers:
        reasons = [coupling.frozen.get(item) for item in layer.outputs.tolist()]
        told = [reason for reason in reasons if reason is not None and reason != ANSWER]
        if None in reasons or not told:
            continue
        plain = _NODE.sub("", told[0])
        layers[plain].append(layer.node)
        nodes[plain].update(dict.fromkeys(_nodes(told)))
    found = [
        FrozenLayers(reason, tuple(nodes[reason]), tuple(names), sum(graph.madds(graph[name]) for name in names))
        for reason, names in layers.items()
    ]
    return tuple(sorted(found, key=lambda each: -each.madds))


def _nodes(reasons: Iterable[str]) -> list[str]:
    return [match.group(1) for reason in reasons if (match := _NODE.search(reason))]


def why_frozen(graph: Graph, coupling: Coupling) -> str:
    """A sentence that says which layers keep all their channels and why, with a space before it; nothing if none does."""
    found = frozen_layers(graph, coupling)
    if not found:
        return ""
    count, total = sum(len(each.layers) for each in found), sum(graph.madds(node) for node in graph.nodes[1:]) or 1
    share = sum(each.madds for each in found) / total
    more = f"; and {len(found) - MOST_NAMED} more reasons" if len(found) > MOST_NAMED else ""
    return (
        f" {count} of {len(coupling.layers)} layers, with {share:.1%} of the multiply-adds, keep all their channels: "
        f"{'; '.join(map(str, found[:MOST_NAMED]))}{more}."
    )

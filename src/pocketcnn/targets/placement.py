"""Placement of layers on a target or its fallback processor, and the transfers between them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from pocketcnn.cost.fusion import is_fused
from pocketcnn.cost.liveness import value_bytes
from pocketcnn.graph import OPS, Graph, Node
from pocketcnn.targets.capability import OpPattern, SlowOp
from pocketcnn.targets.matching import check_patterns, first_match
from pocketcnn.targets.target import Target

NOT_EXECUTED = frozenset({"input", "constant"})
"""Operations that are not executed: the image and constants are available on both processors."""


@dataclass(frozen=True)
class Transfer:
    """A value transferred from the device to the fallback processor (`out`) or back, and the layer that causes it."""

    value: str
    layer: str
    size: int
    out: bool


@dataclass(frozen=True)
class Placement:
    """Which processor runs each layer of a network.

    Attributes:
        graph: the network.
        lacking: unsupported layer -> the pattern of the target that matches it.
        slow: layer -> the pattern that says that it runs below the target's rates; supported layers only.
        follows: layer fused into an unsupported layer -> that layer; it falls back too.
    """

    graph: Graph
    lacking: Mapping[str, OpPattern]
    slow: Mapping[str, SlowOp]
    follows: Mapping[str, str]

    def falls_back(self, name: str) -> bool:
        """Whether the layer runs on the fallback processor."""
        return name in self.lacking or name in self.follows

    def runs_beside_its_source(self, name: str) -> bool:
        """Whether the layer runs on the same processor as its first input."""
        return self.falls_back(name) == self.falls_back(self.graph[name].inputs[0])

    @cached_property
    def crossings(self) -> tuple[Transfer, ...]:
        """Every transferred value, once per direction.

        The image and the logits are not included: they are transferred for every network.
        """
        sizes, found = value_bytes(self.graph), []
        for node in self.graph.nodes:
            if OPS[node.op].view or node.op in NOT_EXECUTED:
                continue
            falls_back = self.falls_back(node.name)
            reader = next((user for user in self._readers(node.name) if self.falls_back(user.name) != falls_back), None)
            if reader is not None:
                layer = node.name if falls_back else reader.name
                found.append(Transfer(node.name, self.follows.get(layer, layer), sizes[node.name], out=not falls_back))
        return tuple(found)

    def _readers(self, name: str) -> list[Node]:
        """The nodes that read the value, also through views."""
        found = []
        for user in self.graph.users(name):
            found += self._readers(user.name) if OPS[user.op].view else [user]
        return found

    @property
    def partitions(self) -> int:
        """The number of uninterrupted runs of layers on the device."""
        steps = [
            self.falls_back(node.name)
            for node in self.graph.nodes
            if node.op not in NOT_EXECUTED and not OPS[node.op].view
        ]
        return sum(not falls_back and (index == 0 or steps[index - 1]) for index, falls_back in enumerate(steps))


def place(graph: Graph, target: Target) -> Placement:
    """Place the layers of `graph` on `target`.

    An activation fused into a convolution is not a separate layer: it runs where the convolution runs.

    Raises:
        UsageError: the target names an unknown operation.
    """
    check_patterns((*target.lacks, *target.slow), target.name)
    lacking: dict[str, OpPattern] = {}
    slow: dict[str, SlowOp] = {}
    follows: dict[str, str] = {}
    for node in graph.nodes:
        if node.op in NOT_EXECUTED:
            continue
        pattern = first_match(target.lacks, graph, node)
        if pattern is not None:
            lacking[node.name] = pattern
            continue
        source = node.inputs[0]
        if (source in lacking or source in follows) and (OPS[node.op].view or is_fused(graph, node)):
            follows[node.name] = follows.get(source, source)
            continue
        slow_pattern = first_match(target.slow, graph, node)
        if slow_pattern is not None:
            slow[node.name] = slow_pattern
    return Placement(graph, lacking, slow, follows)

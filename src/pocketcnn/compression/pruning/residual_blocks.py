"""Depth: whole residual blocks go, the ones that the network misses least.

A block can go where there is a way around it: x + f(x) becomes x, and a unit of ShuffleNetV2, which filters half of the
channels and lets the other half pass, lets both pass.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch.nn.functional as F
from torch import Tensor

from pocketcnn.cost.counting import total_madds
from pocketcnn.graph import Graph, GraphNetwork, Node, predictions
from pocketcnn.training import recalibrate


@dataclass(frozen=True)
class Block:
    """What can be left out: readers of `output` inside `joint` (all readers if it is None) read `around` instead."""

    output: str
    around: str
    joint: str | None = None

    def removed_from(self, graph: Graph) -> Graph:
        """`graph` without the block; what only it needed is gone."""
        nodes = [self._rewired(node) for node in graph.nodes]
        return graph.rebuilt(nodes, output=self.around if self._is_answer(graph) else None)

    def _rewired(self, node: Node) -> Node:
        if self.output not in node.inputs or self.joint not in (None, node.name):
            return node
        return replace(node, inputs=tuple(self.around if name == self.output else name for name in node.inputs))

    def _is_answer(self, graph: Graph) -> bool:
        return self.joint is None and graph.output == self.output


@dataclass(frozen=True)
class RemovedBlocks:
    """The shallower graph, the blocks that are gone in the order in which they went, how far its answers moved; does it fit?"""

    graph: Graph
    blocks: tuple[Block, ...]
    divergence: float
    fits: bool


def residual_blocks(graph: Graph) -> tuple[Block, ...]:
    """The blocks of `graph` that have a way around them, in the order in which they run."""
    return tuple(
        block
        for node in graph.nodes
        for block in (_residual(graph, node), _split_unit(graph, node))
        if block is not None
    )


def _residual(graph: Graph, node: Node) -> Block | None:
    """x + f(x), of one shape."""
    if node.op != "add" or graph[node.inputs[0]].shape != graph[node.inputs[1]].shape:
        return None
    for around, through in (node.inputs, node.inputs[::-1]):
        if around != through and _depends_on(graph, through, around):
            return Block(node.name, around)
    return None


def _split_unit(graph: Graph, node: Node) -> Block | None:
    """concat(a, f(b)) of slices a and b of one value, where f keeps the shape."""
    if node.op != "concat" or len(node.inputs) != 2 or node.integer("axis") != 0:
        return None
    for passing, through in (node.inputs, node.inputs[::-1]):
        if graph[passing].op != "slice" or graph[through].op == "slice":
            continue
        for other in graph.users(graph[passing].inputs[0]):
            is_half = other.op == "slice" and other.name != passing and other.shape == graph[through].shape
            if is_half and _depends_on(graph, through, other.name):
                return Block(through, other.name, joint=node.name)
    return None


def _depends_on(graph: Graph, value: str, source: str) -> bool:
    """Whether `value` is computed from `source`, or from nothing else but constants on all its ways back."""
    seen, waiting, found = {source}, [value], False
    start = graph.nodes[0].name
    while waiting:
        name = waiting.pop()
        if name == source:
            found = True
        elif name == start:
            return False
        if name not in seen:
            seen.add(name)
            waiting.extend(graph[name].inputs)
    return found


def remove_blocks(
    graph: Graph, fits: Callable[[Graph], bool], images: Tensor, most: int | None = None
) -> RemovedBlocks:
    """Take blocks out of `graph` one by one until it fits: each time the one that costs least for the work that it saves.

    What a block costs is how far the answers on `images` (N, C, H, W) move without it, Σ p·log(p / q) on the average of the
    images, p being the answer of the whole network; no labels are needed. Batch statistics are those of `images`, estimated
    anew each time, as those of the deeper network say nothing of what comes after the block.

    Args:
        fits: a bound; blocks go as long as it does not hold and there are any.
        most: blocks that may go at most; all if not given.
    """
    reference = F.log_softmax(predictions(GraphNetwork(recalibrated(graph, images)), images), 1)
    removed: list[Block] = []
    divergence = 0.0
    while not fits(graph) and (most is None or len(removed) < most):
        choices = residual_blocks(graph)
        if not choices:
            break
        work = total_madds(graph)
        tried = []
        for place, block in enumerate(choices):
            shallower = recalibrated(block.removed_from(graph), images)
            moved = _divergence(shallower, reference, images)
            tried.append((moved / max(1, work - total_madds(shallower)), place, moved, shallower))
        _, place, divergence, graph = min(tried, key=lambda trial: trial[:2])
        removed.append(choices[place])
    return RemovedBlocks(graph, tuple(removed), divergence, fits(graph))


def recalibrated(graph: Graph, images: Tensor) -> Graph:
    """`graph` with the batch statistics of `images`."""
    network = GraphNetwork(graph)
    recalibrate(network, images)
    return network.graph


def _divergence(graph: Graph, reference: Tensor, images: Tensor) -> float:
    answers = F.log_softmax(predictions(GraphNetwork(graph), images), 1)
    return float(F.kl_div(answers, reference, reduction="batchmean", log_target=True))

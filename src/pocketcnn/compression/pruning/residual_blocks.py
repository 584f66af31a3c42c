"""Depth pruning: whole residual blocks are removed, those with the least influence on the output first.

A block can be removed if there is a path around it. x + f(x) becomes x. A unit of ShuffleNetV2, which transforms one half of
the channels and passes the other half, passes both.
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
    """A removable block: readers of `output` inside `joint` (all readers if it is None) read `around` instead."""

    output: str
    around: str
    joint: str | None = None

    def removed_from(self, graph: Graph) -> Graph:
        """`graph` without the block, and without nodes that only it needed."""
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
    """The shallower graph, the removed blocks in order, the divergence of its output, and whether it fits."""

    graph: Graph
    blocks: tuple[Block, ...]
    divergence: float
    fits: bool


def residual_blocks(graph: Graph) -> tuple[Block, ...]:
    """The removable blocks of `graph`, in the order in which they run."""
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
    """Whether `value` is computed from `source` only, apart from constants."""
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
    graph: Graph, fits: Callable[[Graph], bool], images: Tensor, max_blocks: int | None = None
) -> RemovedBlocks:
    """Remove blocks from `graph` one by one until it fits: each time the block with the lowest cost per saved multiply-add.

    The cost of a block is the KL divergence between the outputs of the whole network and of the network without it, averaged
    over `images` (N, C, H, W). No labels are needed. Batch-norm statistics are recalibrated on `images` each time.

    Args:
        graph: a float graph.
        fits: a bound; blocks are removed as long as it is false and there are any.
        images: (N, C, H, W), without labels.
        max_blocks: how many blocks may be removed; all by default.
    """
    reference = F.log_softmax(predictions(GraphNetwork(recalibrated(graph, images)), images), 1)
    removed: list[Block] = []
    divergence = 0.0
    while not fits(graph) and (max_blocks is None or len(removed) < max_blocks):
        choices = residual_blocks(graph)
        if not choices:
            break
        work = total_madds(graph)
        candidates = []
        for index, block in enumerate(choices):
            shallower = recalibrated(block.removed_from(graph), images)
            moved = _divergence(shallower, reference, images)
            candidates.append((moved / max(1, work - total_madds(shallower)), index, moved, shallower))
        _, index, divergence, graph = min(candidates, key=lambda trial: trial[:2])
        removed.append(choices[index])
    return RemovedBlocks(graph, tuple(removed), divergence, fits(graph))


def recalibrated(graph: Graph, images: Tensor) -> Graph:
    """`graph` with batch-norm statistics from `images`."""
    network = GraphNetwork(graph)
    recalibrate(network, images)
    return network.graph


def _divergence(graph: Graph, reference: Tensor, images: Tensor) -> float:
    answers = F.log_softmax(predictions(GraphNetwork(graph), images), 1)
    return float(F.kl_div(answers, reference, reduction="batchmean", log_target=True))

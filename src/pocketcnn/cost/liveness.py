"""How much activation memory a network needs at each moment, if every value is given back after its last reader."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from math import prod

from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node
from pocketcnn.graph.ops import OPS

FLOAT_BYTES = 4
INTEGER_BYTES = 1


@dataclass
class _Buffer:
    """Memory that one value, or several one after the other, live in, from node number `start` to node number `end`."""

    size: int
    start: int
    end: int


def live_bytes(graph: Graph, sizes: Mapping[str, int] | None = None) -> dict[str, int]:
    """Bytes of activations in memory while each node runs: its inputs, its output, and what is still needed later.

    `sizes` are the bytes of each value, where they are not those of the whole maps (see `value_bytes`).

    The image is an activation; constants are not, they are weights. Element-wise operations (`Op.inplace`) overwrite an
    input of their output's shape that nobody needs any more, and views (`Op.view`) take no memory. Scratch memory of
    kernels (im2col, accumulators) is the runtime's own affair and not counted.
    """
    size, last = value_bytes(graph) if sizes is None else sizes, _last_uses(graph)
    buffers: list[_Buffer] = []
    holds: dict[str, _Buffer] = {}
    for index, node in enumerate(graph.nodes):
        if size[node.name] == 0:
            continue
        buffer = _reused(graph, node, index, holds, size[node.name])
        if buffer is None:
            buffer = _Buffer(size[node.name], index, index)
            buffers.append(buffer)
        buffer.end = max(buffer.end, last[node.name])
        holds[node.name] = buffer
    changes = [0] * (len(graph.nodes) + 2)
    for buffer in buffers:
        changes[buffer.start] += buffer.size
        changes[buffer.end + 1] -= buffer.size
    return dict(zip((node.name for node in graph.nodes), accumulate(changes), strict=False))


def _reused(graph: Graph, node: Node, index: int, holds: Mapping[str, _Buffer], size: int) -> _Buffer | None:
    """The buffer of an input that the output, of `size` bytes, may take."""
    op = OPS[node.op]
    if op.view:
        return holds.get(node.inputs[0])
    for name in node.inputs if op.inplace else ():
        buffer = holds.get(name)
        if buffer is not None and buffer.end == index and graph[name].shape == node.shape and size <= buffer.size:
            return buffer
    return None


def _last_uses(graph: Graph) -> dict[str, int]:
    """For each value the number of the last node that reads it; the output is needed beyond the last node."""
    last = {node.name: index for index, node in enumerate(graph.nodes)}
    for index, node in enumerate(graph.nodes):
        last.update(dict.fromkeys(node.inputs, index))
    last[graph.output] = len(graph.nodes)
    return last


def value_bytes(graph: Graph) -> dict[str, int]:
    """Bytes of each value: 1 an element with an integer format, else 4; constants, also seen through views, are weights: 0.

    A layer whose only reader is an element-wise operation of one input (an activation, a batch norm) is computed together
    with it, as every runtime does it: its own result is never stored, so it takes the width of the reader's.
    """
    width: dict[str, int] = {}
    for node in reversed(graph.nodes):
        readers = graph.users(node.name)
        if node.name in graph.numerics.activations:
            width[node.name] = INTEGER_BYTES
        elif len(readers) == 1 and node.name != graph.output and _is_fused(readers[0]):
            width[node.name] = width[readers[0].name]
        else:
            width[node.name] = FLOAT_BYTES
    for node in graph.nodes:
        if node.op == "constant":
            width[node.name] = 0
        elif OPS[node.op].view:
            width[node.name] = width[node.inputs[0]]
    return {node.name: prod(node.shape) * width[node.name] for node in graph.nodes}


def _is_fused(reader: Node) -> bool:
    op = OPS[reader.op]
    return op.inplace and op.arity == 1

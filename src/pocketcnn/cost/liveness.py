"""Liveness analysis: activation memory while each node runs, if every value is freed after its last reader."""

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
    """A buffer for one value, or for several values one after another, live from node index `start` to `end`."""

    size: int
    start: int
    end: int


def live_bytes(graph: Graph, sizes: Mapping[str, int] | None = None) -> dict[str, int]:
    """Bytes of activations in memory while each node runs: its inputs, its output, and values that are read later.

    `sizes` are the bytes of each value; by default those of `value_bytes`.

    The image is an activation; constants are weights. An element-wise operation (`Op.inplace`) overwrites an input of
    the same shape that is not read later, and views (`Op.view`) take no memory. Scratch memory of kernels (im2col,
    accumulators) depends on the runtime and is not counted.
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
    """The buffer of an input that the output, of `size` bytes, may reuse."""
    op = OPS[node.op]
    if op.view:
        return holds.get(node.inputs[0])
    for name in node.inputs if op.inplace else ():
        buffer = holds.get(name)
        if buffer is not None and buffer.end == index and graph[name].shape == node.shape and size <= buffer.size:
            return buffer
    return None


def _last_uses(graph: Graph) -> dict[str, int]:
    """For each value the index of the last node that reads it; the output stays live after the last node."""
    last = {node.name: index for index, node in enumerate(graph.nodes)}
    for index, node in enumerate(graph.nodes):
        last.update(dict.fromkeys(node.inputs, index))
    last[graph.output] = len(graph.nodes)
    return last


def value_bytes(graph: Graph) -> dict[str, int]:
    """Bytes of each value: 1 per element if it is quantized, else 4; 0 for constants and their views, which are weights.

    A layer whose only reader is an element-wise operation with one input (an activation, a batch norm) is fused with it, as
    in every runtime. Its own result is never stored, so it is counted with the reader's bytes per element.
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

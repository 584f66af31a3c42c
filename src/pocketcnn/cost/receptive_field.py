"""Receptive fields in a graph: which part of its input a node needs for a part of its output, exact at the borders.

Parts are half-open intervals of rows (axis 0) or columns (axis 1).
"""

from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node
from pocketcnn.graph.ops import OPS
from pocketcnn.graph.ops import reach as ops_reach
from pocketcnn.graph.ops.facts import ChannelRule
from pocketcnn.graph.ops.reach import Interval as Interval


def is_local(graph: Graph, node: Node) -> bool:
    """Whether each output pixel of `node` depends only on a neighbourhood of input pixels; a global mean is not local."""
    op = OPS[node.op]
    if len(node.shape) != 3 or op.reach(node, graph.tensor_shapes(node), 0, (0, 1)) is None:
        return False
    return op.channels is not ChannelRule.BROADCAST or all(_covers(graph[name], node) for name in node.inputs)


def _covers(source: Node, node: Node) -> bool:
    """Whether an operand has one value per pixel, or is a constant that is the same for all pixels."""
    return source.shape[1:] == ((1, 1) if source.op == "constant" else node.shape[1:])


def needed(graph: Graph, node: Node, source: Node, axis: int, part: Interval) -> Interval:
    """The part of input `source` that a local `node` reads for `part` of its output, without padding."""
    start, end = reach(graph, node, axis, part)
    size = source.shape[1 + axis]
    first = min(max(start, 0), size - 1)
    return first, max(min(end, size), first + 1)


def reach(graph: Graph, node: Node, axis: int, part: Interval) -> Interval:
    """The same including the padding: it may begin before the first pixel and end after the last.

    Raises:
        ValueError: `node` is not local.
    """
    found = OPS[node.op].reach(node, graph.tensor_shapes(node), axis, part)
    if found is None:
        raise ValueError(f"{node.name!r} ({node.op}) needs its whole input.")
    return found


def window(graph: Graph, node: Node, axis: int) -> tuple[int, int, int]:
    """Extent (with dilation), stride and padding of the window of a convolution or pooling along an axis."""
    return ops_reach.window(node, graph.tensor_shapes(node), axis)

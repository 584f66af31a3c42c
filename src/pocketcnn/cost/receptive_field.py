"""Which part of its input an operation needs for a part of its output, in a graph and exact at the borders.

Parts are intervals of rows (axis 0) or columns (axis 1), from the first to one beyond the last.
"""

from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node
from pocketcnn.graph.ops import OPS
from pocketcnn.graph.ops import reach as ops_reach
from pocketcnn.graph.ops.facts import ChannelRule
from pocketcnn.graph.ops.reach import Interval as Interval


def is_local(graph: Graph, node: Node) -> bool:
    """Whether each pixel of `node` depends on a neighbourhood of pixels alone: a mean over the image, say, is not local."""
    op = OPS[node.op]
    if len(node.shape) != 3 or op.reach(node, graph.tensor_shapes(node), 0, (0, 1)) is None:
        return False
    return op.channels is not ChannelRule.BROADCAST or all(_covers(graph[name], node) for name in node.inputs)


def _covers(source: Node, node: Node) -> bool:
    """Whether an operand has a value for every pixel, or is a constant with the same for all."""
    return source.shape[1:] == ((1, 1) if source.op == "constant" else node.shape[1:])


def needed(graph: Graph, node: Node, source: Node, axis: int, part: Interval) -> Interval:
    """The part of its input `source` that a local `node` reads for `part` of its output; what lies in the padding is left out."""
    start, end = reach(graph, node, axis, part)
    size = source.shape[1 + axis]
    first = min(max(start, 0), size - 1)
    return first, max(min(end, size), first + 1)


def reach(graph: Graph, node: Node, axis: int, part: Interval) -> Interval:
    """The same with the padding: it may begin before the first pixel and end after the last.

    Raises:
        ValueError: `node` is not local.
    """
    found = OPS[node.op].reach(node, graph.tensor_shapes(node), axis, part)
    if found is None:
        raise ValueError(f"{node.name!r} ({node.op}) needs the whole of its input.")
    return found


def window(graph: Graph, node: Node, axis: int) -> tuple[int, int, int]:
    """Extent, stride and padding of a convolution's or a pooling's window along an axis."""
    return ops_reach.window(node, graph.tensor_shapes(node), axis)

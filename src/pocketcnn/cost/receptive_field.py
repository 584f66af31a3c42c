"""Which part of its input an operation needs for a part of its output: receptive-field arithmetic, exact at the borders.

Parts are intervals of rows (axis 0) or columns (axis 1), from the first to one beyond the last.
"""

from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node

Interval = tuple[int, int]

_WINDOWS = ("conv2d", "max_pool", "avg_pool")
_BINARY = ("add", "sub", "mul", "div")
_PIXELWISE = (
    *("relu", "relu6", "hardswish", "hardsigmoid", "sigmoid", "silu", "tanh", "clip", "leaky_relu", "elu", "prelu"),
    *("batch_norm", "local_response_norm", "affine", "dropout", "softmax", "concat", "channel_shuffle", "gather"),
)
LOCAL = frozenset((*_WINDOWS, *_BINARY, *_PIXELWISE, "pad", "slice", "upsample", "shift"))
"""Operations whose pixels depend on a neighbourhood; all others need the whole of their input."""


def is_local(graph: Graph, node: Node) -> bool:
    """Whether each pixel of `node` depends on a neighbourhood of pixels alone: a mean over the image, say, is not local."""
    if len(node.shape) != 3 or node.op not in LOCAL:
        return False
    if node.op in ("concat", "softmax"):
        return node.integer("axis") == 0
    if node.op in _BINARY:
        return all(_covers(graph[name], node) for name in node.inputs)
    return True


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
    """The same with the padding: it may begin before the first pixel and end after the last."""
    if node.op in _WINDOWS:
        extent, stride, padding = window(graph, node, axis)
        return part[0] * stride - padding, (part[1] - 1) * stride - padding + extent
    if node.op == "pad":
        before = node.ints("pads")[2 if axis == 0 else 0]
        return part[0] - before, part[1] - before
    if node.op == "slice" and node.integer("axis") == 1 + axis:
        start, step = node.integer("start"), node.integer("step")
        return start + step * part[0], start + step * (part[1] - 1) + 1
    if node.op == "upsample":
        scale = node.pair("scale")[axis]
        return part[0] // scale, (part[1] - 1) // scale + 1
    if node.op == "shift":
        moves = node.ints("down" if axis == 0 else "right")
        return part[0] - max(moves), part[1] - min(moves)
    return part


def window(graph: Graph, node: Node, axis: int) -> tuple[int, int, int]:
    """Extent, stride and padding of a convolution's or a pooling's window along an axis."""
    kernel = graph.tensors[node.tensors["weight"]].shape[2:] if node.op == "conv2d" else node.pair("kernel")
    dilation = node.pair("dilation")[axis] if "dilation" in node.attrs else 1
    return dilation * (kernel[axis] - 1) + 1, node.pair("stride")[axis], node.pair("padding")[axis]

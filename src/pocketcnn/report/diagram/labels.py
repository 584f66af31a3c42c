"""The text and the kind (colour) of an operation in a drawing."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node, Shape
from pocketcnn.graph.ops import OPS
from pocketcnn.graph.ops.facts import Family

TIMES = "\u00d7"

KIND: Mapping[Family, str] = MappingProxyType(
    {
        Family.INPUT: "end",
        Family.CONVOLUTION: "convolution",
        Family.LINEAR: "linear",
        Family.POOLING: "pooling",
        Family.ARITHMETIC: "arithmetic",
        Family.MOVEMENT: "movement",
    }
)
"""Kind of box for a family of operations; others (pad, reshape, a separate activation) are ``"other"``."""


def kind(graph: Graph, node: Node) -> str:
    """The kind of the box of `node`, which determines its colour."""
    return "depthwise" if is_depthwise(graph, node) else KIND.get(OPS[node.op].family, "other")


def is_depthwise(graph: Graph, node: Node) -> bool:
    """Whether `node` is a convolution with one group for each input channel."""
    return node.op == "conv2d" and 1 < node.integer("groups") == graph[node.inputs[0]].shape[0]


def title(graph: Graph, node: Node) -> str:
    """The operation with its attributes: ``conv 3×3 s2``."""
    if node.op == "conv2d":
        return _convolution(graph, node)
    if node.op in ("max_pool", "avg_pool"):
        kernel, stride = node.pair("kernel"), node.pair("stride")
        return f"{'max' if node.op == 'max_pool' else 'average'} pool {by(kernel)}{_stride(stride)}"
    if node.op in ("mean", "sum") and node.ints("axes") == (1, 2):
        return "global average pool" if node.op == "mean" else "global sum pool"
    special = _SPECIAL.get(node.op)
    return special(node) if special else OPS[node.op].title


def size(shape: Shape) -> str:
    """``96×56×56``."""
    return by(shape)


def by(numbers: tuple[int, ...]) -> str:
    """Numbers with a multiplication sign between them."""
    return TIMES.join(map(str, numbers))


def _convolution(graph: Graph, node: Node) -> str:
    kernel = tuple(graph.tensors[node.tensors["weight"]].shape[2:])
    groups, dilation = node.integer("groups"), node.pair("dilation")
    depthwise = is_depthwise(graph, node)
    parts = ["depthwise" if depthwise else "conv", by(kernel)]
    text = " ".join(parts) + _stride(node.pair("stride"))
    if groups > 1 and not depthwise:
        text += f" g{groups}"
    return text if dilation == (1, 1) else f"{text} d{dilation[0] if dilation[0] == dilation[1] else by(dilation)}"


def _stride(stride: tuple[int, int]) -> str:
    if stride == (1, 1):
        return ""
    return f" s{stride[0] if stride[0] == stride[1] else by(stride)}"


_SPECIAL: Mapping[str, Callable[[Node], str]] = {
    "adaptive_avg_pool": lambda node: f"average pool to {by(node.pair('size'))}",
    "upsample": lambda node: f"upsample {by(node.pair('scale'))}",
    "channel_shuffle": lambda node: f"channel shuffle g{node.integer('groups')}",
    "slice": lambda node: f"slice {node.integer('start')}:{node.integer('stop')}",
    "reshape": lambda node: "flatten" if len(node.shape) == 1 else "reshape",
    "clip": lambda node: f"clip {node.number('min'):g}…{node.number('max'):g}",
    "affine": lambda node: f"· {node.number('scale'):.3g} + {node.number('offset'):.3g}",
}

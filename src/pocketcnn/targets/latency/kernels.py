"""Kernels: the units that a runtime executes, found in a graph by fusion rules.

The unit of latency is not the layer: a runtime computes a convolution, a following addition and the activation in one pass
(Zhang et al., "nn-Meter: Towards Accurate Latency Prediction of Deep-Learning Model Inference on Diverse Edge Devices",
MobiSys 2021, section 3). A kernel is one operation, the anchor, with the element-wise operations fused into it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

from pocketcnn.graph import Graph, Node
from pocketcnn.graph.node import Shape
from pocketcnn.graph.ops import OPS

ACTIVATIONS = frozenset(op.name for op in OPS.values() if op.is_activation)
ABSORBS: Mapping[str, frozenset[str]] = {
    "conv2d": ACTIVATIONS | {"add"},
    "shift": ACTIVATIONS,
    "linear": ACTIVATIONS,
    "batch_norm": ACTIVATIONS,
    "add": ACTIVATIONS,
    "mul": ACTIVATIONS,
    "affine": ACTIVATIONS,
}
"""Anchor -> the operations that may be fused into it, in order."""

MAX_FUSED = 3
"""An addition and an activation after a convolution; an activation that consists of two operations."""

FREE = frozenset({"dropout", "reshape", "constant"})
"""Operations that take no time at inference."""


MULTIPLYING = frozenset({"conv", "pointwise", "depthwise", "grouped", "vector", "linear", "shift"})
"""Kinds whose anchor performs multiply-adds."""


@dataclass(frozen=True)
class Kernel:
    """One unit of work for one image. Equal kernels in one precision take the same time.

    Attributes:
        kind: of the anchor: ``conv``, ``pointwise``, ``depthwise``, ``grouped``, ``vector`` (a pointwise convolution of one
            pixel), ``linear``, or the name of the operation; ``input`` is the conversion of the input image.
        fused: the operations fused into the anchor.
        inputs, output: shapes of the anchor's inputs and of the result.
        window, stride, groups: of convolutions and pooling, else (1, 1), (1, 1), 1.
        weights: number of elements of the anchor's weight.
    """

    kind: str
    fused: tuple[str, ...]
    inputs: tuple[Shape, ...]
    output: Shape
    window: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    groups: int = 1
    weights: int = 0

    @cached_property
    def madds(self) -> int:
        """Multiply-adds of the anchor."""
        return self.weights * prod(self.output[1:]) if self.kind in MULTIPLYING else 0

    @cached_property
    def read(self) -> int:
        """Elements of the inputs."""
        return sum(map(prod, self.inputs))

    @cached_property
    def written(self) -> int:
        """Elements of the output."""
        return prod(self.output)

    @cached_property
    def _hash(self) -> int:
        return hash((self.kind, self.fused, self.inputs, self.output, self.window, self.stride, self.groups))

    def __hash__(self) -> int:
        return self._hash  # cached: kernels are looked up far more often than created

    def __str__(self) -> str:
        """``depthwise 3x3/2 + relu6, 96x112x112 -> 96x56x56``."""
        window = f" {self.window[0]}x{self.window[1]}" if self.window != (1, 1) else ""
        stride = f"/{self.stride[0]}" if self.stride != (1, 1) else ""
        shapes = " and ".join("x".join(map(str, shape)) for shape in self.inputs)
        name = " + ".join((self.kind + window + stride, *self.fused))
        return f"{name}, {shapes} -> {'x'.join(map(str, self.output))}"


@dataclass(frozen=True)
class KernelGroup:
    """A kernel of a graph, and the names of its nodes; the anchor comes first."""

    kernel: Kernel
    nodes: tuple[str, ...]


def split(graph: Graph) -> tuple[KernelGroup, ...]:
    """The kernels of a graph at inference (see `for_inference`), in the order in which their anchors run."""
    taken: set[str] = set()
    groups: list[KernelGroup] = []
    order = {node.name: index for index, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        if node.name in taken or node.op in FREE:
            continue
        members = _members(graph, node, order)
        taken.update(member.name for member in members)
        groups.append(KernelGroup(_kernel(graph, members), tuple(member.name for member in members)))
    return tuple(groups)


def _members(graph: Graph, anchor: Node, order: Mapping[str, int]) -> list[Node]:
    """The anchor and the operations fused into it: each the only reader of the last value, of an allowed kind, with other
    inputs available.
    """
    members, allowed = [anchor], ABSORBS.get(anchor.op, frozenset())
    while len(members) < MAX_FUSED:
        last = members[-1]
        users = graph.users(last.name)
        if len(users) != 1 or last.name == graph.output or users[0].op not in allowed:
            break
        follower = users[0]
        if follower.op == "add":
            other = next((name for name in follower.inputs if name != last.name), last.name)
            if order[other] > order[anchor.name] or graph[other].shape != last.shape:
                break
            allowed = ACTIVATIONS
        else:
            allowed = frozenset()
        members.append(follower)
    return members


def _kernel(graph: Graph, members: list[Node]) -> Kernel:
    anchor, last = members[0], members[-1]
    inputs = tuple(graph[name].shape for name in anchor.inputs if graph[name].op != "constant") or (anchor.shape,)
    window, stride = _window(graph, anchor)
    return Kernel(
        kind=_kind(graph, anchor),
        fused=tuple(node.op for node in members[1:]),
        inputs=inputs,
        output=last.shape,
        window=window,
        stride=stride,
        groups=anchor.integer("groups") if "groups" in anchor.attrs else 1,
        weights=_weights(graph, anchor),
    )


def _kind(graph: Graph, anchor: Node) -> str:
    if anchor.op == "mean" and anchor.ints("axes") == (1, 2):
        return "global_pool"
    if anchor.op == "adaptive_avg_pool" and anchor.pair("size") == (1, 1):
        return "global_pool"
    if anchor.op in ("mul", "add", "sub", "div") and graph[anchor.inputs[0]].shape != graph[anchor.inputs[-1]].shape:
        return f"{anchor.op}_broadcast"
    if anchor.op in ACTIVATIONS:
        return "activation" if anchor.op in CHEAP_ACTIVATIONS else anchor.op
    if anchor.op != "conv2d":
        return anchor.op
    weight = graph.tensors[anchor.tensors["weight"]].shape
    groups = anchor.integer("groups")
    if groups > 1:
        return "depthwise" if weight[1] == 1 and weight[0] == groups else "grouped"
    if tuple(weight[2:]) != (1, 1):
        return "conv"
    return "vector" if prod(graph[anchor.inputs[0]].shape[1:]) == 1 else "pointwise"


CHEAP_ACTIVATIONS = frozenset(name for name in ACTIVATIONS if OPS[name].clips or OPS[name].homogeneous)
"""Activations of comparisons and at most one multiplication, without exponentials."""


def _window(graph: Graph, anchor: Node) -> tuple[tuple[int, int], tuple[int, int]]:
    if "kernel" in anchor.attrs:
        return anchor.pair("kernel"), anchor.pair("stride")
    if anchor.op == "conv2d":
        height, width = graph.tensors[anchor.tensors["weight"]].shape[2:]
        return (height, width), anchor.pair("stride")
    return (1, 1), (1, 1)


def _weights(graph: Graph, anchor: Node) -> int:
    if anchor.op == "shift":
        return prod(anchor.shape[:1]) * 9
    if "weight" not in OPS[anchor.op].tensors or "weight" not in anchor.tensors:
        return 0
    return graph.tensors[anchor.tensors["weight"]].numel()

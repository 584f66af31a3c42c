"""Which activations of a folded graph are quantized, and which share a format.

The rules are those under which a runtime computes in integers throughout (ONNX QDQ): every value that an operation reads is
quantized, except inside a fused pair such as convolution + ReLU.
"""

from collections.abc import Mapping
from enum import Enum, auto

from pocketcnn.graph import OPS, ActivationFormat, Graph, Node


class Placement(Enum):
    """What happens to the output of a node."""

    OWN = auto()
    """Stored with its own scale and zero point."""
    SAME = auto()
    """Moved or selected from the first input, and stored in its format."""
    FUSED = auto()
    """Not stored: the next node, an activation, works on the accumulator."""
    FLOAT = auto()
    """Kept in float: the network's output, and probabilities."""


ACCUMULATES = frozenset({"conv2d", "linear", "add"})
FUSABLE = frozenset(op.name for op in OPS.values() if op.clips and not op.attrs)
"""ReLU and ReLU6: runtimes fuse clips with known bounds."""


def moves(node: Node) -> bool:
    """Whether each output element is an element of the one input; zero padding counts, because every format has a zero."""
    op = OPS[node.op]
    return op.data_movement and op.arity == 1 and node.attrs.get("value", 0) == 0


def placement(graph: Graph, node: Node) -> Placement:
    """The placement of one node's output."""
    if node.name == graph.output:
        return Placement.FLOAT
    if node.op == "softmax":
        return Placement.FLOAT
    if moves(node):
        return Placement.SAME
    if node.op in ACCUMULATES:
        users = graph.users(node.name)
        if len(users) == 1 and users[0].op in FUSABLE and users[0].name != graph.output:
            return Placement.FUSED
    return Placement.OWN


def shared_formats(graph: Graph, own: Mapping[str, ActivationFormat]) -> dict[str, ActivationFormat]:
    """The formats of all values: those in `own`; a value that was only moved has the format of its source."""
    kinds = placements(graph)
    formats: dict[str, ActivationFormat] = {}
    for node in graph.nodes:
        if node.name in own:
            formats[node.name] = own[node.name]
        elif kinds[node.name] is Placement.SAME and node.inputs[0] in formats:
            formats[node.name] = formats[node.inputs[0]]
    return formats


def own_values(graph: Graph) -> list[Node]:
    """The nodes whose outputs have their own format."""
    kinds = placements(graph)
    return [node for node in graph.nodes if kinds[node.name] is Placement.OWN]


def placements(graph: Graph) -> dict[str, Placement]:
    """The placement of every value; a value moved from a float value stays in float."""
    chosen: dict[str, Placement] = {}
    for node in graph.nodes:
        kind = placement(graph, node)
        if kind is Placement.SAME and chosen[node.inputs[0]] is Placement.FLOAT:
            kind = Placement.FLOAT
        chosen[node.name] = kind
    return chosen

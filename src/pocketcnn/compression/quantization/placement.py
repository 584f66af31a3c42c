"""Where integers stand between operations: which values of a folded graph get a format of their own.

The rules are those under which a runtime computes in integers throughout (ONNX QDQ): every value that an operation reads is
quantized, except what lies inside a fused pair such as convolution + ReLU.
"""

from collections.abc import Mapping
from enum import Enum, auto

from pocketcnn.graph import OPS, ActivationFormat, Graph, Node


class Placement(Enum):
    """What happens to the value that a node makes."""

    OWN = auto()
    """Stored with a scale and zero point of its own."""
    SAME = auto()
    """Moved or selected from the first input, so it has the input's format."""
    FUSED = auto()
    """Never stored: the next node, an activation, works on the accumulator."""
    FLOAT = auto()
    """Left in float: the network's answer, and probabilities."""


ACCUMULATES = frozenset({"conv2d", "linear", "add"})
FUSABLE = frozenset(op.name for op in OPS.values() if op.clips and not op.attrs)
"""ReLU and ReLU6: runtimes fuse clips whose bounds they know."""


def moves(node: Node) -> bool:
    """Whether each result is a value of the one input; padding with zeros, which every format has, counts."""
    op = OPS[node.op]
    return op.data_movement and op.arity == 1 and node.attrs.get("value", 0) == 0


def placement(graph: Graph, node: Node) -> Placement:
    """The placement of one node's value."""
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
    """The formats of all values: those in `own`, and for a value that was only moved that of its source."""
    places = placements(graph)
    formats: dict[str, ActivationFormat] = {}
    for node in graph.nodes:
        if node.name in own:
            formats[node.name] = own[node.name]
        elif places[node.name] is Placement.SAME and node.inputs[0] in formats:
            formats[node.name] = formats[node.inputs[0]]
    return formats


def own_values(graph: Graph) -> list[Node]:
    """The nodes whose values have a format of their own."""
    places = placements(graph)
    return [node for node in graph.nodes if places[node.name] is Placement.OWN]


def placements(graph: Graph) -> dict[str, Placement]:
    """The placement of every value; a value moved out of a float one stays in float."""
    chosen: dict[str, Placement] = {}
    for node in graph.nodes:
        place = placement(graph, node)
        if place is Placement.SAME and chosen[node.inputs[0]] is Placement.FLOAT:
            place = Placement.FLOAT
        chosen[node.name] = place
    return chosen

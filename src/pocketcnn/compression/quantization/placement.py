"""Where integers stand between operations: which values of a folded graph get a format of their own.

The rules are those under which a runtime computes in integers throughout (ONNX QDQ): every value that an operation reads is
quantized, except what lies inside a fused pair such as convolution + ReLU.
"""

from enum import Enum, auto

from pocketcnn.graph import Graph, Node


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


MOVES = frozenset(
    {"slice", "channel_shuffle", "gather", "shift", "roll", "reshape", "permute", "max_pool", "upsample", "dropout"}
)
ACCUMULATES = frozenset({"conv2d", "linear", "add"})
FUSABLE = frozenset({"relu", "relu6"})


def placement(graph: Graph, node: Node) -> Placement:
    """The placement of one node's value."""
    if node.name == graph.output:
        return Placement.FLOAT
    if node.op == "softmax":
        return Placement.FLOAT
    if node.op in MOVES or (node.op == "pad" and node.number("value") == 0):
        return Placement.SAME
    if node.op in ACCUMULATES:
        users = graph.users(node.name)
        if len(users) == 1 and users[0].op in FUSABLE and users[0].name != graph.output:
            return Placement.FUSED
    return Placement.OWN


def placements(graph: Graph) -> dict[str, Placement]:
    """The placement of every value; a value moved out of a float one stays in float."""
    chosen: dict[str, Placement] = {}
    for node in graph.nodes:
        place = placement(graph, node)
        if place is Placement.SAME and chosen[node.inputs[0]] is Placement.FLOAT:
            place = Placement.FLOAT
        chosen[node.name] = place
    return chosen

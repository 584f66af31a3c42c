"""Which layers every runtime computes together with the one before."""

from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node
from pocketcnn.graph.ops import OPS


def fused_layers(graph: Graph) -> frozenset[str]:
    """Names of the element-wise operations that work on the result of a convolution, linear layer or addition in place.

    They are its only readers, so that result is never stored. Views, which do no work, are not among them.
    """
    return frozenset(node.name for node in graph.nodes if is_fused(graph, node))


def is_fused(graph: Graph, node: Node) -> bool:
    """Whether `node` is computed inside the layer that makes its input."""
    op = OPS[node.op]
    if not (op.inplace and op.arity == 1) or op.view or node.inputs[0] == graph.output:
        return False
    source = graph[node.inputs[0]]
    return source.op != "input" and not OPS[source.op].view and len(graph.users(source.name)) == 1

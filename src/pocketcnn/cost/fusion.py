"""Operator fusion: layers that every runtime fuses into the layer before."""

from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node
from pocketcnn.graph.ops import OPS


def fused_layers(graph: Graph) -> frozenset[str]:
    """Names of the element-wise operations that are fused into the convolution, linear layer or addition before them.

    Each is the only reader of that result, which is then never stored. Views are not included: they cost nothing.
    """
    return frozenset(node.name for node in graph.nodes if is_fused(graph, node))


def is_fused(graph: Graph, node: Node) -> bool:
    """Whether `node` is fused into the layer that computes its input."""
    op = OPS[node.op]
    if not (op.inplace and op.arity == 1) or op.view or node.inputs[0] == graph.output:
        return False
    source = graph[node.inputs[0]]
    return source.op != "input" and not OPS[source.op].view and len(graph.users(source.name)) == 1

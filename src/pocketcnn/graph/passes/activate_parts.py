"""The activation of a concatenation, moved to its parts, where convolutions compute it on the way."""

from dataclasses import replace

from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node
from pocketcnn.graph.ops import OPS

COMMUTING = frozenset(op.name for op in OPS.values() if op.clips and not op.attrs)


def activate_parts(graph: Graph) -> Graph:
    """The same function with ``relu(concat(a, b))`` as ``concat(relu(a), relu(b))``, as in the Fire modules of SqueezeNet.

    In integers that saves a value: what the parts are before their activation is never stored, and its negative half needs no
    levels. (OpenVINO's low-precision passes were seen to crash on the value between concatenation and activation.)
    """
    nodes: list[Node] = []
    for node in graph.nodes:
        joined = graph[node.inputs[0]] if node.op in COMMUTING else None
        if joined is None or not _is_private(graph, joined):
            nodes.append(node)
            continue
        parts = [
            replace(node, name=f"{node.name}/{place}", inputs=(part,), shape=())
            for place, part in enumerate(joined.inputs)
        ]
        nodes.extend(parts)
        nodes.append(replace(joined, name=node.name, inputs=tuple(part.name for part in parts)))
    return graph.rebuilt(nodes)


def _is_private(graph: Graph, joined: Node) -> bool:
    """Whether it is a concatenation that the activation alone reads, of values that it alone reads."""
    if joined.op != "concat" or len(set(joined.inputs)) < len(joined.inputs):
        return False
    return all(len(graph.users(name)) == 1 for name in (joined.name, *joined.inputs)) and graph.output != joined.name

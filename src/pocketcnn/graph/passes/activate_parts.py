"""Pass that moves an activation from a concatenation to its inputs, so that convolutions can fuse it."""

from dataclasses import replace

from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node
from pocketcnn.graph.ops import OPS

COMMUTING = frozenset(op.name for op in OPS.values() if op.clips and not op.attrs)


def activate_parts(graph: Graph) -> Graph:
    """Replace ``relu(concat(a, b))`` by ``concat(relu(a), relu(b))``, as in the Fire modules of SqueezeNet.

    In a quantized network the values before the activation are then not stored, and no quantization levels are spent on their
    negative half. (OpenVINO's low-precision passes can crash on a value between concatenation and activation.)
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
    """Whether `joined` is a concatenation with a single reader, and it is the single reader of its inputs."""
    if joined.op != "concat" or len(set(joined.inputs)) < len(joined.inputs):
        return False
    return all(len(graph.users(name)) == 1 for name in (joined.name, *joined.inputs)) and graph.output != joined.name

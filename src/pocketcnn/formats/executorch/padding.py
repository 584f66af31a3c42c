"""Average pooling with counted padding (count_include_pad), which XNNPACK lacks: the padding becomes a separate operation."""

from dataclasses import replace

from pocketcnn.graph.graph import Graph
from pocketcnn.graph.names import numbered
from pocketcnn.graph.node import Node


def with_counted_padding(graph: Graph) -> Graph:
    """The same function with a pad before every such pooling; the pad has the format of its input."""
    nodes: list[Node] = []
    formats = dict(graph.numerics.activations)
    for node in graph.nodes:
        if node.op == "avg_pool" and node.flag("count_padding") and any(node.pair("padding")) and not node.flag("ceil"):
            pad = _pad(graph, node)
            if node.inputs[0] in formats:
                formats[pad.name] = formats[node.inputs[0]]
            nodes.append(pad)
            node = replace(node, inputs=(pad.name,), attrs={**node.attrs, "padding": (0, 0), "count_padding": False})
        nodes.append(node)
    return graph.rebuilt(nodes, numerics=graph.numerics.model_copy(update={"activations": formats}))


def _pad(graph: Graph, node: Node) -> Node:
    top, left = node.pair("padding")
    name = next(name for name in numbered(f"{node.name}/pad") if name not in graph)
    return Node(name, "pad", node.inputs, (), {"pads": (left, left, top, top), "value": 0.0})

"""What a quantized network computes in ncnn, as a graph that PyTorch can run.

ncnn's numerics are not the graph's: the inputs of int8 layers are rounded to symmetric integers from -127 to 127, and all else is
float. So a file is compared with this graph, not with the numerics of the network that it was written from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pocketcnn.formats.ncnn.int8 import HIGH, hands_on, is_int8, symmetric_scale
from pocketcnn.formats.ncnn.writer import blob_names, fused_activations, inference_graph
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.names import numbered
from pocketcnn.graph.node import Node
from pocketcnn.graph.numerics import ActivationFormat, Numerics


def ncnn_simulation(graph: Graph) -> Graph:
    """`graph` at inference with ncnn's numerics: a clip before each int8 layer rounds its input, all other values are float32."""
    graph = inference_graph(graph)
    if not graph.numerics:
        return graph
    nodes: list[Node] = []
    formats: dict[str, ActivationFormat] = {}
    for node in graph.nodes:
        if is_int8(graph, node):
            source = node.inputs[0]
            rounded = _rounded(graph, source)
            if rounded not in formats:
                step = 1 / symmetric_scale(graph.numerics.activations[source])
                bounds = {"min": -HIGH * step, "max": HIGH * step}
                nodes.append(Node(rounded, "clip", (source,), graph[source].shape, bounds))
                formats[rounded] = ActivationFormat(scale=step, zero_point=0, signed=True)
            node = replace(node, inputs=(rounded, *node.inputs[1:]))
        nodes.append(node)
    return graph.rebuilt(nodes, numerics=Numerics(activations=formats, weights=graph.numerics.weights))


@dataclass(frozen=True)
class ComputedBlob:
    """A blob of the file that holds the value of a node of the simulation, in units of `step`."""

    blob: str
    step: float = 1.0


def simulated_blobs(graph: Graph) -> Mapping[str, ComputedBlob]:
    """Node of `ncnn_simulation(graph)` -> the blob with its value, for the nodes whose values the file computes.

    Where an int8 layer hands integers on, the blob holds the rounded value.
    """
    graph = inference_graph(graph)
    fused = fused_activations(graph)
    found: dict[str, ComputedBlob] = {}
    for name, blob in blob_names(graph).items():
        if graph[name].op == "input" or name in fused:  # a layer with a fused activation stores only the latter's value
            continue
        source = next((layer for layer, end in fused.items() if end.name == name), name)
        if is_int8(graph, graph[source]) and hands_on(graph, graph[source], graph[name]):
            step = 1 / symmetric_scale(graph.numerics.activations[name])
            found[_rounded(graph, name)] = ComputedBlob(blob, step)
        else:
            found[name] = ComputedBlob(blob)
    return found


def _rounded(graph: Graph, source: str) -> str:
    return next(name for name in numbered(f"{source}/int8") if name not in graph)

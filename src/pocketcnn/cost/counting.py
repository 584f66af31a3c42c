"""`count`: the cost of a network, per layer, from its graph."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from pocketcnn.cost.cost import Cost, LayerCost
from pocketcnn.cost.liveness import FLOAT_BYTES, INTEGER_BYTES, live_bytes, value_bytes
from pocketcnn.errors import UsageError
from pocketcnn.graph.capture.capture import capture
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.network import GraphNetwork
from pocketcnn.graph.node import Node
from pocketcnn.graph.ops import OPS


def count(network: nn.Module | Graph, input_shape: Sequence[int] | None = None) -> Cost:
    """Count the cost of `network` for one image.

    A graph is counted as given. To count what a runtime executes, with batch norm folded into convolutions and parallel
    branches merged, pass `for_inference(graph)`: it has fewer parameters and bytes, and the same multiply-adds if every batch
    norm follows a convolution and there are no such branches.

    Args:
        network: a module, which is captured first; or a `GraphNetwork` or `Graph`, whose input shape is known.
        input_shape: (N, C, H, W) of the images; N is ignored.

    Raises:
        UsageError: a module without an input shape, or a graph with another input shape.
        CaptureError: the module cannot be captured.
    """
    if not isinstance(network, Graph | GraphNetwork):
        if input_shape is None:
            raise UsageError(
                f"To count a {type(network).__name__}, give its input shape: count(network, (1, C, H, W))."
            )
        return _cost(capture(network, input_shape))
    graph = network if isinstance(network, Graph) else network.graph.rebuilt()
    if input_shape is not None and tuple(input_shape[1:]) != graph.input_shape:
        raise UsageError(
            f"The graph was captured for images of shape {graph.input_shape}, not {tuple(input_shape[1:])}. "
            "Count or capture the module that it comes from, with the other shape."
        )
    return _cost(graph)


def total_madds(graph: Graph) -> int:
    """Multiply-adds for one image."""
    return sum(graph.madds(node) for node in graph.nodes)


def parameters(graph: Graph) -> int:
    """Trained numbers: all tensors but the buffers of their operations, shared ones once."""
    trained = {name for node in graph.nodes for role, name in node.tensors.items() if role not in OPS[node.op].buffers}
    return sum(graph.tensors[name].numel() for name in trained)


def _cost(graph: Graph) -> Cost:
    layers = _layers(graph)
    live = live_bytes(graph)
    peak = max(live, key=live.__getitem__)
    return Cost(
        madds=sum(layer.madds for layer in layers),
        params=sum(layer.params for layer in layers),
        weight_bytes=sum(layer.weight_bytes for layer in layers),
        peak_activation_bytes=live[peak],
        peak_layer=peak,
        memory_access_bytes=sum(layer.memory_access_bytes for layer in layers),
        layers=layers,
    )


def _layers(graph: Graph) -> tuple[LayerCost, ...]:
    sizes, live = value_bytes(graph), live_bytes(graph)
    madds = {node.name: graph.madds(node) for node in graph.nodes if node.op != "input"}
    total = sum(madds.values()) or 1
    counted: set[str] = set()
    layers = []
    for node in graph.nodes[1:]:
        tensors = _new_tensors(graph, node, counted)
        counted |= tensors.keys()
        works = not OPS[node.op].view
        layers.append(
            LayerCost(
                name=node.name,
                op=node.op,
                shape=node.shape,
                madds=madds[node.name],
                share=madds[node.name] / total,
                params=sum(tensors[name].numel() for name in _learnable(graph, node, tensors)),
                weight_bytes=sum(_stored_bytes(graph, name, tensor) for name, tensor in tensors.items()),
                input_bytes=works * sum(sizes[name] for name in set(node.inputs)),
                output_bytes=works * sizes[node.name],
                live_bytes=live[node.name],
            )
        )
    return tuple(layers)


def _new_tensors(graph: Graph, node: Node, counted: set[str]) -> dict[str, Tensor]:
    """The tensors of `node`, and the scales of its weights, that no earlier node has."""
    names = list(node.tensors.values())
    names += [graph.numerics.weights[name].scale for name in names if name in graph.numerics.weights]
    return {name: graph.tensors[name] for name in names if name not in counted}


def _learnable(graph: Graph, node: Node, tensors: Mapping[str, Tensor]) -> set[str]:
    buffers = OPS[node.op].buffers
    trained = {name for role, name in node.tensors.items() if role not in buffers} - graph.buffers
    return {name for name in trained if name in tensors and tensors[name].is_floating_point()}


def _stored_bytes(graph: Graph, name: str, tensor: Tensor) -> int:
    if name in graph.numerics.weights:
        return tensor.numel() * INTEGER_BYTES
    return tensor.numel() * (FLOAT_BYTES if tensor.is_floating_point() else tensor.element_size())

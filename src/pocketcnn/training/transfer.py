"""Transfer to other classes: everything except the last layer is kept."""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn

from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph, GraphNetwork, Node
from pocketcnn.training.rng import drawn_from

LAYERS = frozenset({"conv2d", "linear"})


def with_classes(network: GraphNetwork, classes: Sequence[str], seed: int = 0) -> GraphNetwork:
    """A copy of a float classifier for other `classes`, with a new last layer drawn from `seed`; it needs training.

    Raises:
        UsageError: the network is quantized, or its output is not computed by a single convolution or linear layer.
    """
    graph = network.graph
    if graph.numerics:
        raise UsageError("A quantized network cannot be trained for other classes. Use the original float network.")
    last = _last_layer(graph)
    width, wanted = graph.output_shape[0], len(classes)
    names = last.tensors
    fresh = _fresh(last, graph.tensors[names["weight"]], wanted, seed)
    tensors = {**graph.tensors, names["weight"]: fresh.weight.detach()}
    if "bias" in names and fresh.bias is not None:
        tensors[names["bias"]] = fresh.bias.detach()
    nodes = [_renumbered(node, width, wanted) if _is_after(graph, node, last) else node for node in graph.nodes]
    info = network.info.model_copy(update={"classes": tuple(classes)})
    return GraphNetwork(graph.rebuilt(nodes, tensors=tensors), info).train(network.training)


def _last_layer(graph: Graph) -> Node:
    """The layer that computes the logits; only operations on single classes follow it."""
    node = graph[graph.output]
    while node.op not in LAYERS:
        if len(node.inputs) != 1 or node.tensors:
            raise UsageError(
                f"The last layer of this network cannot be replaced: its output comes from {node.op} ({node.name}), not from "
                "one convolution or linear layer."
            )
        node = graph[node.inputs[0]]
    uses = sum(node.tensors["weight"] in other.tensors.values() for other in graph.nodes)
    if uses > 1 or (node.op == "conv2d" and node.integer("groups") > 1):
        raise UsageError(
            f"The last layer of this network ({node.name}) cannot be replaced: it is grouped or shares its weight."
        )
    return node


def _fresh(layer: Node, weight: Tensor, classes: int, seed: int) -> nn.Linear | nn.Conv2d:
    """A layer of the same kind with one output per class, with PyTorch's initialization."""
    with drawn_from(seed):
        if layer.op == "linear":
            return nn.Linear(weight.shape[1], classes, dtype=weight.dtype).to(weight.device)
        kernel = (int(weight.shape[2]), int(weight.shape[3]))
        return nn.Conv2d(weight.shape[1], classes, kernel, dtype=weight.dtype).to(weight.device)


def _is_after(graph: Graph, node: Node, layer: Node) -> bool:
    while len(node.inputs) == 1:
        node = graph[node.inputs[0]]
        if node.name == layer.name:
            return True
    return False


def _renumbered(node: Node, was: int, classes: int) -> Node:
    """A reshape of the logits, adapted to the number of classes."""
    if node.op != "reshape":
        return node
    shape = tuple(classes if size == was else size for size in node.ints("shape"))
    return replace(node, attrs={**node.attrs, "shape": shape})

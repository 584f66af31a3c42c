"""Magnitude of the weights that make and read a channel."""

from pocketcnn.compression.pruning.coupling import Coupling
from pocketcnn.compression.pruning.coupling.trace import Layer
from pocketcnn.compression.pruning.importance.by_class import ByClass, blocks, relative
from pocketcnn.compression.pruning.importance.criterion import CriterionData
from pocketcnn.graph.graph import Graph


def magnitude(graph: Graph, coupling: Coupling, evidence: CriterionData) -> dict[int, float]:  # noqa: ARG001
    """Without any data, how much a class can bring into the layers that read it: its scale times the norms of the weights.

    The norms are L2 norms of the columns that read the class. The scale is |gamma| where the class is normalized: there the
    norm of its filter, which Li et al. ("Pruning Filters for Efficient ConvNets", section 3.1) rank by, means nothing.
    Elsewhere it is that norm. All are in units of their layer's mean, which makes layers comparable.
    """
    scales, reads = ByClass(), ByClass()
    for node in graph.nodes:
        if node.op == "batch_norm" and "weight" in node.tensors:
            name = node.tensors["weight"]
            scales.add(coupling.vectors[name], relative(graph.tensors[name].abs()))
    for layer in coupling.layers:
        squares = blocks(graph.tensors[layer.weight], layer).square()
        if not _is_normalized(graph, layer):
            scales.add(layer.outputs, relative(squares.sum((2, 3)).sqrt()))
        if not layer.passes:
            reads.add(layer.inputs, relative(squares.sum((1, 3)).sqrt()))
    scale, read = scales.mean(), reads.mean()
    return {item: scale.get(item, 1.0) * read.get(item, 0.0) for item in coupling.removable().tolist()}


def _is_normalized(graph: Graph, layer: Layer) -> bool:
    return any(node.op == "batch_norm" for node in graph.users(layer.node))

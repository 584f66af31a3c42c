"""What the values of a channel bring to the layers that read it."""

import torch
from torch import Tensor

from pocketcnn.compression.pruning.coupling import Coupling
from pocketcnn.compression.pruning.importance.by_class import ByClass, blocks, relative
from pocketcnn.compression.pruning.importance.criterion import CriterionData
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.network import GraphNetwork
from pocketcnn.graph.node import Node


def energy(graph: Graph, coupling: Coupling, evidence: CriterionData) -> dict[int, float]:
    """What a class brings into the layers that read it: root mean square of its channel times the norm of the columns.

    Without the class, and were channels uncorrelated, the outputs of a layer would miss just that: the error that ThiNet
    (Luo et al., section 3.2, equation 4) minimizes over sets of channels, here one channel at a time, in units of the
    layer's mean. The labels of the batches are not used.

    Raises:
        UsageError: no batches were given.
    """
    squares = _mean_squares(graph, coupling, [images for images, _ in evidence.needed_by("energy")])
    scores = ByClass()
    for layer in coupling.layers:
        if not layer.passes:
            columns = blocks(graph.tensors[layer.weight], layer).square().sum((1, 3)).reshape(-1)
            scores.add(layer.inputs, relative((columns * squares[graph[layer.node].inputs[0]]).sqrt()))
    return scores.mean_or(0.0, coupling)  # what nothing reads is worth nothing


def _mean_squares(graph: Graph, coupling: Coupling, batches: list[Tensor]) -> dict[str, Tensor]:
    """For each value that a layer reads, the mean square of each channel, (C,), times the number of batches."""
    network = GraphNetwork(graph).eval()
    read = {graph[layer.node].inputs[0] for layer in coupling.layers}
    squares: dict[str, Tensor] = {}

    def observe(node: Node, value: Tensor) -> None:
        if node.name in read:
            axes = [axis for axis in range(value.ndim) if axis != 1]
            squares[node.name] = squares.get(node.name, torch.zeros(())) + value.double().square().mean(axes).cpu()

    with torch.no_grad():
        for images in batches:
            network.run(images, observe)
    return squares

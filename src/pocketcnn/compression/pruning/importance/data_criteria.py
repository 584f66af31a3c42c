"""Importance criteria that use images: channel energy (as ThiNet) and the Taylor expansion of the loss."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from pocketcnn.compression.coupling import Coupling
from pocketcnn.compression.pruning.importance.by_class import ByClass, blocks, relative
from pocketcnn.compression.pruning.importance.criterion import CriterionData
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.network import GraphNetwork
from pocketcnn.graph.node import Node


def energy(graph: Graph, coupling: Coupling, data: CriterionData) -> dict[int, float]:
    """Root mean square of a channel times the norm of the weight columns that read it, averaged over the layers that read it.

    If channels were uncorrelated, this is the error of a layer's outputs without the channel. ThiNet (Luo et al., section
    3.2, equation 4) minimizes this error over sets of channels; here each channel is scored alone, relative to the mean of
    its layer. Labels are not used.

    Raises:
        UsageError: no batches were given.
    """
    squares = _mean_squares(graph, coupling, [images for images, _ in data.needed_by("energy")])
    scores = ByClass()
    for layer in coupling.layers:
        if not layer.depthwise_like:
            columns = blocks(graph.tensors[layer.weight], layer).square().sum((1, 3)).reshape(-1)
            scores.add(layer.inputs, relative((columns * squares[graph[layer.node].inputs[0]]).sqrt()))
    return scores.mean_or(0.0, coupling)  # a channel that no layer reads has no importance


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


def taylor(graph: Graph, coupling: Coupling, data: CriterionData) -> dict[int, float]:
    """First-order estimate of the change of the loss without a class, in eval mode: root mean square over the batches.

    Molchanov et al., "Importance Estimation for Neural Network Pruning" (CVPR 2019), section 3.1, equation 8, with the gate
    of a class at the inputs of the layers that read it. The gradient of the gate is the sum of weight x gradient over the
    columns that read the class, so one backward pass scores all classes. Scores are relative to the mean of their layer,
    because absolute scores would empty whole layers in one shot. Small batches are better, because gradients of opposite sign
    cancel within a batch.

    Raises:
        UsageError: no batches were given.
    """
    network = GraphNetwork(graph).eval()
    scores = ByClass()
    for images, labels in data.needed_by("taylor"):
        network.zero_grad(set_to_none=True)
        data.loss(network(images), labels).backward()  # type: ignore[no-untyped-call]
        change = _loss_changes(network, coupling)
        scores.add(np.array(list(change), dtype=np.int64), torch.tensor(list(change.values())).double().square())
    return _per_layer(coupling, scores.mean_or(0.0, coupling))


def _loss_changes(network: GraphNetwork, coupling: Coupling) -> dict[int, float]:
    """Class -> first-order change of the loss when no layer reads the class."""
    parameters = dict(network.named_parameters())
    change = ByClass()
    seen: set[str] = set()
    for layer in coupling.layers:
        weight = parameters[layer.weight]
        if (
            weight.grad is None or layer.depthwise_like or layer.weight in seen
        ):  # a shared weight has one gradient for all uses
            continue
        seen.add(layer.weight)
        change.add(layer.inputs, blocks(weight.detach() * weight.grad, layer).sum((1, 3)))
    return change.total()


def _per_layer(coupling: Coupling, squares: Mapping[int, float]) -> dict[int, float]:
    """Square roots of `squares`, relative to the mean of the layers that produce the class."""
    scores = ByClass()
    for layer in coupling.layers:
        if not layer.depthwise_like:
            values = torch.tensor([squares.get(item, 0.0) for item in layer.outputs.tolist()], dtype=torch.float64)
            scores.add(layer.outputs, relative(values.sqrt()))
    return scores.mean_or(0.0, coupling)

"""First-order estimate of what the loss changes by without a channel."""

from collections.abc import Mapping

import numpy as np
import torch

from pocketcnn.compression.pruning.coupling import Coupling
from pocketcnn.compression.pruning.importance.by_class import ByClass, blocks, relative
from pocketcnn.compression.pruning.importance.criterion import CriterionData
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.network import GraphNetwork


def taylor(graph: Graph, coupling: Coupling, evidence: CriterionData) -> dict[int, float]:
    """First-order estimate of what the loss changes by without a class, in eval mode: root mean square over the batches.

    Molchanov et al., "Importance Estimation for Neural Network Pruning", section 3.1, equation 8, with the gate of a class
    at the inputs of the layers that read it: its gradient is the sum of weight x gradient over the columns that read the
    class, so one backward pass gives it for all classes, and it is exactly the change that removal makes. Scores are in
    units of their layer's mean: compared as they are, they empty whole layers in one shot. Small batches tell more,
    because gradients of opposite sign cancel within a batch.

    Raises:
        UsageError: no batches were given.
    """
    network = GraphNetwork(graph).eval()
    scores = ByClass()
    for images, labels in evidence.needed_by("taylor"):
        network.zero_grad(set_to_none=True)
        evidence.loss(network(images), labels).backward()  # type: ignore[no-untyped-call]
        change = _loss_changes(network, coupling)
        scores.add(np.array(list(change), dtype=np.int64), torch.tensor(list(change.values())).double().square())
    return _per_layer(coupling, scores.mean_or(0.0, coupling))


def _loss_changes(network: GraphNetwork, coupling: Coupling) -> dict[int, float]:
    """Class -> the first-order change of the loss when nothing reads the class any more."""
    parameters = dict(network.named_parameters())
    change = ByClass()
    seen: set[str] = set()
    for layer in coupling.layers:
        weight = parameters[layer.weight]
        if weight.grad is None or layer.passes or layer.weight in seen:  # a shared weight has the gradient of all uses
            continue
        seen.add(layer.weight)
        change.add(layer.inputs, blocks(weight.detach() * weight.grad, layer).sum((1, 3)))
    return change.total()


def _per_layer(coupling: Coupling, squares: Mapping[int, float]) -> dict[int, float]:
    """Roots of `squares` in units of the mean of the layers that make a class."""
    scores = ByClass()
    for layer in coupling.layers:
        if not layer.passes:
            values = torch.tensor([squares.get(item, 0.0) for item in layer.outputs.tolist()], dtype=torch.float64)
            scores.add(layer.outputs, relative(values.sqrt()))
    return scores.mean_or(0.0, coupling)

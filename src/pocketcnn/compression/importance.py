"""What a channel is worth: one function a criterion, from a graph and its coupling to a score for each channel class.

A higher score means more important; only the order of the scores matters. A class with an infinite score is never removed.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from pocketcnn.compression.coupling import Coupling
from pocketcnn.compression.coupling.classes import Labels
from pocketcnn.compression.coupling.trace import Layer
from pocketcnn.errors import UsageError
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.network import GraphNetwork
from pocketcnn.graph.node import Node

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """What a criterion may look at besides the weights.

    `batches` are images (N, C, H, W) with labels as `loss(logits, labels)` takes them, on the network's device.
    """

    batches: Sequence[tuple[Tensor, Tensor]] = ()
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy
    seed: int = 0


Criterion = Callable[[Graph, Coupling, Evidence], dict[int, float]]


def magnitude(graph: Graph, coupling: Coupling, evidence: Evidence) -> dict[int, float]:  # noqa: ARG001
    """Without any data, how much a class can bring into the layers that read it: its scale times the norms of the weights.

    The norms are L2 norms of the columns that read the class. The scale is |gamma| where the class is normalized: there the
    norm of its filter, which Li et al. ("Pruning Filters for Efficient ConvNets", section 3.1) rank by, means nothing.
    Elsewhere it is that norm. All are in units of their layer's mean, which makes layers comparable.
    """
    scales, reads = _ByClass(), _ByClass()
    for node in graph.nodes:
        if node.op == "batch_norm" and "weight" in node.tensors:
            name = node.tensors["weight"]
            scales.add(coupling.vectors[name], _relative(graph.tensors[name].abs()))
    for layer in coupling.layers:
        squares = _blocks(graph.tensors[layer.weight], layer).square()
        if not _is_normalized(graph, layer):
            scales.add(layer.outputs, _relative(squares.sum((2, 3)).sqrt()))
        if not layer.passes:
            reads.add(layer.inputs, _relative(squares.sum((1, 3)).sqrt()))
    scale, read = scales.mean(), reads.mean()
    return {item: scale.get(item, 1.0) * read.get(item, 0.0) for item in coupling.removable().tolist()}


def _is_normalized(graph: Graph, layer: Layer) -> bool:
    return any(node.op == "batch_norm" for node in graph.users(layer.node))


def bn_scale(graph: Graph, coupling: Coupling, evidence: Evidence) -> dict[int, float]:  # noqa: ARG001
    """Mean |gamma| of the batch normalizations on a class; a class without any is never removed.

    Liu et al., "Learning Efficient Convolutional Networks through Network Slimming", section 3: the scales of all layers
    are compared as they are, which supposes that they were trained with an L1 penalty.
    """
    scores = _ByClass()
    for node in graph.nodes:
        if node.op == "batch_norm" and "weight" in node.tensors:
            name = node.tensors["weight"]
            scores.add(coupling.vectors[name], graph.tensors[name].abs())
    return dict.fromkeys(coupling.removable().tolist(), float("inf")) | scores.mean()


def energy(graph: Graph, coupling: Coupling, evidence: Evidence) -> dict[int, float]:
    """What a class brings into the layers that read it: root mean square of its channel times the norm of the columns.

    Without the class, and were channels uncorrelated, the outputs of a layer would miss just that: the error that ThiNet
    (Luo et al., section 3.2, equation 4) minimizes over sets of channels, here one channel at a time, in units of the
    layer's mean. The labels of the batches are not used.

    Raises:
        UsageError: no batches were given.
    """
    squares = _mean_squares(graph, coupling, _needed(evidence, "energy"))
    scores = _ByClass()
    for layer in coupling.layers:
        if not layer.passes:
            columns = _blocks(graph.tensors[layer.weight], layer).square().sum((1, 3)).reshape(-1)
            scores.add(layer.inputs, _relative((columns * squares[graph[layer.node].inputs[0]]).sqrt()))
    return _with_zeros(coupling, scores)


def _mean_squares(graph: Graph, coupling: Coupling, evidence: Evidence) -> dict[str, Tensor]:
    """For each value that a layer reads, the mean square of each channel, (C,), times the number of batches."""
    network = GraphNetwork(graph).eval()
    read = {graph[layer.node].inputs[0] for layer in coupling.layers}
    squares: dict[str, Tensor] = {}

    def observe(node: Node, value: Tensor) -> None:
        if node.name in read:
            axes = [axis for axis in range(value.ndim) if axis != 1]
            squares[node.name] = squares.get(node.name, torch.zeros(())) + value.double().square().mean(axes).cpu()

    with torch.no_grad():
        for images, _ in evidence.batches:
            network.run(images, observe)
    return squares


def taylor(graph: Graph, coupling: Coupling, evidence: Evidence) -> dict[int, float]:
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
    scores = _ByClass()
    for images, labels in _needed(evidence, "taylor").batches:
        network.zero_grad(set_to_none=True)
        evidence.loss(network(images), labels).backward()  # type: ignore[no-untyped-call]
        change = _loss_changes(network, coupling)
        scores.add(np.array(list(change), dtype=np.int64), torch.tensor(list(change.values())).double().square())
    return _per_layer(coupling, _with_zeros(coupling, scores))


def _loss_changes(network: GraphNetwork, coupling: Coupling) -> dict[int, float]:
    """Class -> the first-order change of the loss when nothing reads the class any more."""
    parameters = dict(network.named_parameters())
    change = _ByClass()
    seen: set[str] = set()
    for layer in coupling.layers:
        weight = parameters[layer.weight]
        if weight.grad is None or layer.passes or layer.weight in seen:  # a shared weight has the gradient of all uses
            continue
        seen.add(layer.weight)
        change.add(layer.inputs, _blocks(weight.detach() * weight.grad, layer).sum((1, 3)))
    return change.total()


def random(graph: Graph, coupling: Coupling, evidence: Evidence) -> dict[int, float]:  # noqa: ARG001
    """A number drawn from `evidence.seed`: the control that every other criterion has to beat."""
    classes = coupling.removable().tolist()
    drawn = np.random.default_rng(evidence.seed).random(len(classes))
    return dict(zip(classes, drawn.tolist(), strict=True))


def _needed(evidence: Evidence, name: str) -> Evidence:
    if not evidence.batches:
        raise UsageError(f"The criterion {name!r} needs batches of labelled images: pass `batches`.")
    return evidence


def _with_zeros(coupling: Coupling, scores: "_ByClass") -> dict[int, float]:
    """Means by class; what nothing reads is worth nothing."""
    return dict.fromkeys(coupling.removable().tolist(), 0.0) | scores.mean()


def _per_layer(coupling: Coupling, squares: Mapping[int, float]) -> dict[int, float]:
    """Roots of `squares` in units of the mean of the layers that make a class."""
    scores = _ByClass()
    for layer in coupling.layers:
        if not layer.passes:
            values = torch.tensor([squares.get(item, 0.0) for item in layer.outputs.tolist()], dtype=torch.float64)
            scores.add(layer.outputs, _relative(values.sqrt()))
    return _with_zeros(coupling, scores)


class _ByClass:
    """Values of channels, gathered by class."""

    def __init__(self) -> None:
        self._classes: list[Labels] = []
        self._values: list[Values] = []

    def add(self, classes: Labels, values: Tensor) -> None:
        self._classes.append(classes)
        self._values.append(values.detach().cpu().double().reshape(-1).numpy())

    def _sums(self) -> tuple[Labels, Values, Values]:
        classes, places = np.unique(np.concatenate(self._classes), return_inverse=True)
        sums = np.bincount(places, np.concatenate(self._values)).astype(np.float64)
        return classes, sums, np.bincount(places).astype(np.float64)

    def mean(self) -> dict[int, float]:
        if not self._classes:
            return {}
        classes, sums, counts = self._sums()
        return dict(zip(classes.tolist(), (sums / counts).tolist(), strict=True))

    def total(self) -> dict[int, float]:
        classes, sums, _ = self._sums()
        return dict(zip(classes.tolist(), sums.tolist(), strict=True))


def _blocks(weight: Tensor, layer: Layer) -> Tensor:
    """A weight (N, C/G, …) as (G, N/G, C/G, K·K), in double precision."""
    groups, inputs = layer.groups, len(layer.inputs) // layer.groups
    return weight.double().reshape(groups, len(layer.outputs) // groups, inputs, -1)


def _relative(norms: Tensor) -> Tensor:
    mean = norms.mean()
    return norms / mean if mean > 0 else norms


CRITERIA: Mapping[str, Criterion] = MappingProxyType(
    {"magnitude": magnitude, "bn_scale": bn_scale, "energy": energy, "taylor": taylor, "random": random}
)


def criterion(name: str) -> Criterion:
    """The criterion called `name`.

    Raises:
        UsageError: there is none; the message has the nearest and all names.
    """
    if name in CRITERIA:
        return CRITERIA[name]
    close = difflib.get_close_matches(name, CRITERIA, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise UsageError(f"There is no importance criterion {name!r}.{hint} Known: {', '.join(CRITERIA)}.")

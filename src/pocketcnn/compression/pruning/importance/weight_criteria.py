"""Criteria that look at weights alone: magnitude, batch-norm scales (network slimming), geometric median, and chance."""

import numpy as np
import torch

from pocketcnn.compression.coupling import Coupling
from pocketcnn.compression.coupling.trace import Layer
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


def bn_scale(graph: Graph, coupling: Coupling, evidence: CriterionData) -> dict[int, float]:  # noqa: ARG001
    """Mean |gamma| of the batch normalizations on a class; a class without any is never removed.

    Liu et al., "Learning Efficient Convolutional Networks through Network Slimming", ICCV 2017, section 3: the scales of
    all layers are compared as they are, which supposes that they were trained with an L1 penalty (`bn_l1` of a recipe).
    """
    scores = ByClass()
    for node in graph.nodes:
        if node.op == "batch_norm" and "weight" in node.tensors:
            name = node.tensors["weight"]
            scores.add(coupling.vectors[name], graph.tensors[name].abs())
    return scores.mean_or(float("inf"), coupling)


def fpgm(graph: Graph, coupling: Coupling, evidence: CriterionData) -> dict[int, float]:  # noqa: ARG001
    """The sum of the distances of a filter to all filters of its layer: small near their geometric median.

    He et al., "Filter Pruning via Geometric Median for Deep Convolutional Neural Networks Acceleration", CVPR 2019, section
    3.3, equation 6: what such a filter says, the others can say. In units of the layer's mean, where the paper takes the
    same share from every layer. Filters of the groups of a grouped convolution read different channels, so only those of
    one group are compared; those of a depthwise convolution, which go with what they read, are not looked at. A class that
    no other layer makes is worth 1, as much as the mean.
    """
    scores = ByClass()
    for layer in coupling.layers:
        if not layer.passes:
            filters = blocks(graph.tensors[layer.weight], layer).flatten(2)  # (G, N/G, C/G · K·K)
            distances = torch.cdist(filters, filters, compute_mode="donot_use_mm_for_euclid_dist")
            scores.add(layer.outputs, relative(distances.sum(2)))
    return scores.mean_or(1.0, coupling)


def random(graph: Graph, coupling: Coupling, evidence: CriterionData) -> dict[int, float]:  # noqa: ARG001
    """A number drawn from `evidence.seed`: the control that every other criterion has to beat."""
    classes = coupling.removable().tolist()
    drawn = np.random.default_rng(evidence.seed).random(len(classes))
    return dict(zip(classes, drawn.tolist(), strict=True))

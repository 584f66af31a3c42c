"""Importance criteria that use weights only: magnitude, batch-norm scale (network slimming), geometric median, and random."""

import numpy as np
import torch

from pocketcnn.compression.coupling import Coupling
from pocketcnn.compression.coupling.trace import Layer
from pocketcnn.compression.pruning.importance.by_class import ByClass, blocks, relative
from pocketcnn.compression.pruning.importance.criterion import CriterionData
from pocketcnn.graph.graph import Graph


def magnitude(graph: Graph, coupling: Coupling, data: CriterionData) -> dict[int, float]:  # noqa: ARG001
    """The scale of a class times the L2 norms of the weight columns that read it, without data.

    The scale is |gamma| if batch normalization follows. There the norm of the filter, by which Li et al. ("Pruning Filters
    for Efficient ConvNets", section 3.1) rank, has no influence. Without batch normalization the scale is that norm. Both
    factors are relative to the mean of their layer, which makes layers comparable.
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
        if not layer.depthwise_like:
            reads.add(layer.inputs, relative(squares.sum((1, 3)).sqrt()))
    scale, read = scales.mean(), reads.mean()
    return {item: scale.get(item, 1.0) * read.get(item, 0.0) for item in coupling.removable().tolist()}


def _is_normalized(graph: Graph, layer: Layer) -> bool:
    return any(node.op == "batch_norm" for node in graph.users(layer.node))


def bn_scale(graph: Graph, coupling: Coupling, data: CriterionData) -> dict[int, float]:  # noqa: ARG001
    """Mean |gamma| of the batch normalizations on a class; a class without batch normalization is never pruned.

    Liu et al., "Learning Efficient Convolutional Networks through Network Slimming" (ICCV 2017), section 3. The scales of all
    layers are compared directly, so the network should be trained with an L1 penalty on them (`bn_l1` of a recipe).
    """
    scores = ByClass()
    for node in graph.nodes:
        if node.op == "batch_norm" and "weight" in node.tensors:
            name = node.tensors["weight"]
            scores.add(coupling.vectors[name], graph.tensors[name].abs())
    return scores.mean_or(float("inf"), coupling)


def fpgm(graph: Graph, coupling: Coupling, data: CriterionData) -> dict[int, float]:  # noqa: ARG001
    """The sum of the distances of a filter to all filters of its layer; it is small near their geometric median.

    He et al., "Filter Pruning via Geometric Median for Deep Convolutional Neural Networks Acceleration" (CVPR 2019), section
    3.3, equation 6: filters near the median can be replaced by the others. Scores are relative to the mean of the layer; the
    paper prunes the same share of every layer instead. In a grouped convolution only filters of the same group are compared.
    Depthwise filters are not scored, because they follow their input. A class that only depthwise layers produce gets the
    mean score, 1.
    """
    scores = ByClass()
    for layer in coupling.layers:
        if not layer.depthwise_like:
            filters = blocks(graph.tensors[layer.weight], layer).flatten(2)  # (G, N/G, C/G · K·K)
            distances = torch.cdist(filters, filters, compute_mode="donot_use_mm_for_euclid_dist")
            scores.add(layer.outputs, relative(distances.sum(2)))
    return scores.mean_or(1.0, coupling)


def random(graph: Graph, coupling: Coupling, data: CriterionData) -> dict[int, float]:  # noqa: ARG001
    """A random number from `data.seed`: the baseline for all other criteria."""
    classes = coupling.removable().tolist()
    drawn = np.random.default_rng(data.seed).random(len(classes))
    return dict(zip(classes, drawn.tolist(), strict=True))

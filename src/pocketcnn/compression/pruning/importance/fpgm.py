"""Filter pruning via geometric median: how well the other filters of a layer stand for one."""

import torch

from pocketcnn.compression.pruning.coupling import Coupling
from pocketcnn.compression.pruning.importance.by_class import ByClass, blocks, relative
from pocketcnn.compression.pruning.importance.criterion import CriterionData
from pocketcnn.graph.graph import Graph


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

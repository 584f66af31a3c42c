"""Network slimming: the scale of the batch normalizations on a channel."""

from pocketcnn.compression.pruning.coupling import Coupling
from pocketcnn.compression.pruning.importance.by_class import ByClass
from pocketcnn.compression.pruning.importance.criterion import CriterionData
from pocketcnn.graph.graph import Graph


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

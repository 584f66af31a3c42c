"""The control."""

import numpy as np

from pocketcnn.compression.pruning.coupling import Coupling
from pocketcnn.compression.pruning.importance.criterion import CriterionData
from pocketcnn.graph.graph import Graph


def random(graph: Graph, coupling: Coupling, evidence: CriterionData) -> dict[int, float]:  # noqa: ARG001
    """A number drawn from `evidence.seed`: the control that every other criterion has to beat."""
    classes = coupling.removable().tolist()
    drawn = np.random.default_rng(evidence.seed).random(len(classes))
    return dict(zip(classes, drawn.tolist(), strict=True))

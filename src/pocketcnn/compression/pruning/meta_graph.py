"""A graph of shapes without weight values (on the meta device), to evaluate the cost of many pruned variants.

If costs are those of the deployed network, dropout and batch normalization are removed once, before any pruning.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch

from pocketcnn.compression.coupling import Coupling, couple, remove
from pocketcnn.graph import Graph
from pocketcnn.graph.passes.fold import absorb_batch_norm, drop_dropout


@dataclass(frozen=True)
class MetaGraph:
    """The shapes of a graph, and its coupling in terms of the original channel classes."""

    graph: Graph
    coupling: Coupling

    @classmethod
    def of(cls, graph: Graph, coupling: Coupling | None = None, *, at_inference: bool = False) -> "MetaGraph":
        """The meta graph of a float graph.

        Args:
            graph: a float graph.
            coupling: of `graph`; passing it saves the analysis.
            at_inference: remove dropout and foldable batch normalization. Costs of the deployed network stay the same, and so
                do multiply-adds.
        """
        coupling = coupling or couple(graph)
        meta = torch.device("meta")
        tensors = {
            name: tensor.to(meta) if tensor.is_floating_point() else tensor for name, tensor in graph.tensors.items()
        }
        shapes = graph.rebuilt(tensors=tensors)
        if not at_inference:
            return cls(shapes, coupling)
        shapes = absorb_batch_norm(drop_dropout(shapes))
        return cls(shapes, _restricted(coupling, shapes))

    def without(self, classes: Iterable[int]) -> Graph:
        """The meta graph without `classes`; see `remove`."""
        return remove(self.graph, classes, self.coupling)


def _restricted(coupling: Coupling, shapes: Graph) -> Coupling:
    """The coupling of the remaining graph; a layer with folded batch normalization may have gained a bias."""
    values = {name: found for name, found in coupling.values.items() if name in shapes}
    vectors = {name: classes for name, classes in coupling.vectors.items() if name in shapes.tensors}
    for layer in coupling.layers:
        bias = shapes[layer.node].tensors.get("bias")
        if bias is not None:
            vectors[bias] = layer.outputs
    return replace(coupling, values=values, vectors=vectors)

"""A graph by shapes alone, to ask again and again what narrowed forms of it would cost.

No value of a weight is stored. Where a cost is that of the deployed network, what inference does not need goes once, before
all narrowing, instead of from every narrowed form.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch

from pocketcnn.compression.coupling import Coupling, couple, remove
from pocketcnn.graph import Graph
from pocketcnn.graph.passes.fold import absorb_batch_norm, drop_dropout


@dataclass(frozen=True)
class MetaGraph:
    """The shapes of a graph, and its coupling in terms of the classes of the graph itself."""

    graph: Graph
    coupling: Coupling

    @classmethod
    def of(cls, graph: Graph, coupling: Coupling | None = None, *, at_inference: bool = False) -> "MetaGraph":
        """The outline of a float graph.

        Args:
            coupling: saves the analysis where it is known.
            at_inference: without dropout and without the batch normalization that layers absorb. Figures that are taken
                `for_inference` come out the same, and so do multiply-adds.
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
        """The outline of the graph without `classes`; see `remove`."""
        return remove(self.graph, classes, self.coupling)


def _restricted(coupling: Coupling, shapes: Graph) -> Coupling:
    """The coupling of what is left of the graph; a layer that absorbed a batch normalization may have got a bias."""
    values = {name: found for name, found in coupling.values.items() if name in shapes}
    vectors = {name: classes for name, classes in coupling.vectors.items() if name in shapes.tensors}
    for layer in coupling.layers:
        bias = shapes[layer.node].tensors.get("bias")
        if bias is not None:
            vectors[bias] = layer.outputs
    return replace(coupling, values=values, vectors=vectors)

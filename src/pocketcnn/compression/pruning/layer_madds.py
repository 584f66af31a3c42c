"""Multiply-adds of every layer of a pruned graph, computed from channel classes without building the graph."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketcnn.compression.coupling import Coupling
from pocketcnn.compression.coupling.classes import Labels
from pocketcnn.graph import Graph


@dataclass(frozen=True)
class LayerMadds:
    """Counts multiply-adds by layer, in the order in which the layers run, for graphs that have lost channel classes.

    A layer's multiply-adds are proportional to its weights: for each group, remaining rows times remaining columns.
    """

    names: tuple[str, ...]
    labels: int
    _sides: tuple[tuple[Labels, Labels, int], ...]
    """By layer, the classes of the outputs (G, N/G) and inputs (G, C/G), and the multiply-adds of one (output, input) pair."""

    @classmethod
    def of(cls, graph: Graph, coupling: Coupling) -> "LayerMadds":
        """The layers of `graph`."""
        order = {node.name: index for index, node in enumerate(graph.nodes)}
        layers = sorted(coupling.layers, key=lambda layer: order[layer.node])
        sides = []
        for layer in layers:
            outputs, inputs = layer.outputs.reshape(layer.groups, -1), layer.inputs.reshape(layer.groups, -1)
            pairs = outputs.size * inputs.shape[1]
            sides.append((outputs, inputs, graph.madds(graph[layer.node]) // pairs))
        return cls(tuple(layer.node for layer in layers), coupling.labels, tuple(sides))

    def without(self, classes: Iterable[int]) -> NDArray[np.int64]:
        """Multiply-adds of each layer, (layers,), when `classes` are pruned."""
        left = np.ones(self.labels, np.bool_)
        left[np.fromiter(classes, np.int64)] = False
        counts = [
            int((left[outputs].sum(1) * left[inputs].sum(1)).sum()) * each for outputs, inputs, each in self._sides
        ]
        return np.array(counts, np.int64)

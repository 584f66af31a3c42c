"""The state that the agent observes for a channel group: equation 1 of AMC, for groups of coupled channels instead of layers."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pocketcnn.compression.pruning.schedule import Counts
from pocketcnn.compression.pruning.space import PruningSpace
from pocketcnn.graph import Graph, Node

Floats = NDArray[np.float32]

FEATURES = ("t", "n", "c", "h", "w", "stride", "k", "FLOPs[t]", "reduced", "rest", "a[t-1]")
"""Index of the group; output channels, input channels, input height, input width, stride and kernel size of the first layer
that produces its channels; multiply-adds of the layers that write or read its channels; share of all multiply-adds removed
so far; share in the layers still to come; kept share of the previous group."""

STATIC_FEATURES = 8
"""The first features do not depend on the episode."""


@dataclass(frozen=True)
class StateEncoder:
    """Encodes the states of an episode over the prunable groups of a space, every feature from 0 to 1."""

    space: PruningSpace

    @cached_property
    def _leaders(self) -> tuple[Node, ...]:
        """For each prunable group, the first layer that produces its channels."""
        graph, order = self.space.graph, {node.name: index for index, node in enumerate(self.space.graph.nodes)}
        return tuple(graph[min(self.space.layers(group), key=order.__getitem__)] for group in self.space.prunable)

    @cached_property
    def _static(self) -> Floats:
        """(prunable groups, STATIC_FEATURES): each feature scaled to its range in this network."""
        rows = np.array(
            [
                [index, *_shape_features(self.space.graph, leader), self._connected_madds(group)]
                for index, (group, leader) in enumerate(zip(self.space.prunable, self._leaders, strict=True))
            ],
            np.float64,
        )
        low, span = rows.min(0), np.ptp(rows, axis=0)
        return np.asarray((rows - low) / np.where(span > 0, span, 1), np.float32)

    def _connected_madds(self, group: int) -> int:
        """Multiply-adds of the layers that write or read a channel of `group`."""
        graph = self.space.graph
        classes = [item for unit in self.space.order.groups[group].units for item in unit]
        return sum(
            graph.madds(graph[layer.node])
            for layer in self.space.coupling.layers
            if np.isin(classes, np.concatenate([layer.inputs, layer.outputs])).any()
        )

    @cached_property
    def _total_madds(self) -> int:
        return max(1, int(self.space.madds(self.space.no_pruning).sum()))

    def state(self, index: int, counts: Counts, before: float) -> Floats:
        """The state before the prunable group number `index` is pruned.

        Args:
            index: position among the prunable groups.
            counts: units that the earlier groups have lost.
            before: share that the previous group kept (1 at the start).
        """
        madds = self.space.madds(counts)
        later = madds[self.space.layer_names.index(self._leaders[index].name) + 1 :].sum()
        progress = [1 - madds.sum() / self._total_madds, later / self._total_madds, before]
        return np.concatenate([self._static[index], np.array(progress, np.float32)])


def _shape_features(graph: Graph, layer: Node) -> tuple[float, ...]:
    """n, c, h, w, stride, k of a layer; a linear layer has one pixel, stride 1 and kernel 1."""
    inputs = graph.input_shapes(layer)[0]
    if layer.op != "conv2d":
        return (layer.shape[0], inputs[0], 1, 1, 1, 1)
    kernel = graph.tensors[layer.tensors["weight"]].shape[2:]
    return (layer.shape[0], *inputs, max(layer.ints("stride")), max(kernel))

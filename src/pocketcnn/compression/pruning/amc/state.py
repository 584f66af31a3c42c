"""What the agent sees of a channel group: equation 1 of the paper, for groups of coupled channels instead of single layers."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pocketcnn.compression.pruning.schedule import Counts
from pocketcnn.compression.pruning.space import PruningSpace
from pocketcnn.graph import Graph, Node

Floats = NDArray[np.float32]

FEATURES = ("t", "n", "c", "h", "w", "stride", "k", "FLOPs[t]", "reduced", "rest", "a[t-1]")
"""Index of the group; output and input channels, height and width of the input, stride and kernel size of the first layer that
makes its channels; multiply-adds of the layers that make or read them; the shares of all multiply-adds that are gone so far
and that still lie ahead; the share of the group before that was kept."""

FIXED = 8
"""The first features do not depend on the walk."""


@dataclass(frozen=True)
class StateEncoder:
    """States of a walk over the movable groups of a space, every feature from 0 to 1."""

    space: PruningSpace

    @cached_property
    def _leaders(self) -> tuple[Node, ...]:
        """By movable group, the first layer that makes its channels."""
        graph, order = self.space.graph, {node.name: place for place, node in enumerate(self.space.graph.nodes)}
        return tuple(graph[min(self.space.layers(group), key=order.__getitem__)] for group in self.space.movable)

    @cached_property
    def _fixed(self) -> Floats:
        """(movable groups, FIXED), each feature scaled to what it is at least and at most in this network."""
        rows = np.array(
            [
                [place, *_shape_features(self.space.graph, leader), self._touched(group)]
                for place, (group, leader) in enumerate(zip(self.space.movable, self._leaders, strict=True))
            ],
            np.float64,
        )
        low, span = rows.min(0), np.ptp(rows, axis=0)
        return np.asarray((rows - low) / np.where(span > 0, span, 1), np.float32)

    def _touched(self, group: int) -> int:
        """Multiply-adds of the layers that make or read a channel of `group`."""
        graph = self.space.graph
        classes = [item for unit in self.space.order.groups[group].units for item in unit]
        return sum(
            graph.madds(graph[layer.node])
            for layer in self.space.coupling.layers
            if np.isin(classes, np.concatenate([layer.inputs, layer.outputs])).any()
        )

    @cached_property
    def _whole(self) -> int:
        return max(1, int(self.space.madds(self.space.none).sum()))

    def state(self, place: int, counts: Counts, before: float) -> Floats:
        """The state before the group at `place` of the movable ones is narrowed.

        `counts` are what the groups before it lost, `before` is the share that the last of them kept (1 at the start).
        """
        madds = self.space.madds(counts)
        ahead = madds[self.space.layer_names.index(self._leaders[place].name) + 1 :].sum()
        walk = [1 - madds.sum() / self._whole, ahead / self._whole, before]
        return np.concatenate([self._fixed[place], np.array(walk, np.float32)])


def _shape_features(graph: Graph, layer: Node) -> tuple[float, ...]:
    """n, c, h, w, stride, k of a layer; one pixel, stride 1 and kernel 1 for a linear one."""
    inputs = graph.input_shapes(layer)[0]
    if layer.op != "conv2d":
        return (layer.shape[0], inputs[0], 1, 1, 1, 1)
    kernel = graph.tensors[layer.tensors["weight"]].shape[2:]
    return (layer.shape[0], *inputs, max(layer.ints("stride")), max(kernel))

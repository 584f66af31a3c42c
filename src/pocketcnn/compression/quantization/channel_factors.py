"""Channels that can be divided by a factor where they are written and multiplied by it where they are read.

The network's function stays the same if everything between is positively homogeneous: f(a·x) = a·f(x) for a > 0. Channels are
traced by the rules of `compression/coupling`, with one difference: a grouped or depthwise convolution produces new
channels, so that both of its sides can have their own factors.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pocketcnn.compression.coupling.classes import Labels, Mask
from pocketcnn.compression.coupling.rules import follow
from pocketcnn.compression.coupling.trace import Layer, Trace
from pocketcnn.graph import OPS, Graph, Node


@dataclass(frozen=True)
class ChannelFactors:
    """The channels of a graph by class, with one factor per class.

    Attributes:
        layers: the convolutions and linear layers, with the classes of their input and output channels.
        values: by node name, the classes of a value: (C, 1, 1), (F,), or another shape that broadcasts to the value.
        free: (classes,), whether the channels of a class may have a factor.
    """

    layers: tuple[Layer, ...]
    values: Mapping[str, Labels]
    free: Mask

    def __len__(self) -> int:
        return len(self.free)


class _Factors(Trace):
    """A trace that does not couple the two sides of a grouped convolution."""

    def _couple_groups(self, layer: Layer) -> None:
        pass


def channel_factors(graph: Graph) -> ChannelFactors:
    """Trace the channels of a float `graph` without batch normalization (`for_inference`)."""
    trace = _Factors(graph)
    for node in graph.nodes:
        labels = [trace.values[name] for name in node.inputs]
        trace.values[node.name] = follow(trace, node)
        if not _passes_factors(graph, node):
            for each in (*labels, trace.values[node.name]):
                trace.classes.freeze(each, f"{node.name} is not positively homogeneous")
    trace.classes.freeze(trace.values[graph.output], "it is the network's output")
    find = trace.classes.find
    layers = tuple(
        Layer(layer.node, layer.weight, layer.groups, find(layer.inputs), find(layer.outputs), layer.depthwise_like)
        for layer in trace.layers.values()
    )
    free = np.zeros(len(trace.classes), dtype=np.bool_)
    made = np.concatenate([np.empty(0, np.int64), *(layer.outputs for layer in layers)])
    read = np.concatenate([np.empty(0, np.int64), *(layer.inputs for layer in layers)])
    free[np.intersect1d(made, read)] = True
    free[list(trace.classes.frozen())] = False
    return ChannelFactors(layers, {name: find(labels) for name, labels in trace.values.items()}, free)


def _passes_factors(graph: Graph, node: Node) -> bool:
    if node.op == "pad":
        return node.number("value") == 0
    if node.op in ("add", "sub"):  # a broadcast value would need the factors of all its channels
        first, second = graph.input_shapes(node)
        return first == second
    return OPS[node.op].homogeneous  # ReLU6 only if its bound is scaled too, or removed

"""Which channels of a graph can be divided by a factor where they are made and multiplied by it where they are read.

That leaves the network's function as it is wherever everything between is positively homogeneous: f(a·x) = a·f(x) for a > 0.
The channels are followed by the rules of `compression/pruning/coupling`, with one difference: a grouped or
depthwise convolution makes
channels of its own, as each side of it can have its own factors.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pocketcnn.compression.pruning.coupling.classes import Labels, Mask
from pocketcnn.compression.pruning.coupling.rules import follow
from pocketcnn.compression.pruning.coupling.trace import Layer, Trace
from pocketcnn.graph import OPS, Graph, Node


@dataclass(frozen=True)
class ChannelFactors:
    """The channels of a graph by class: one factor a class.

    Attributes:
        layers: the convolutions and linear layers, with the classes of their input and output channels.
        values: by node name, the classes of a value: (C, 1, 1), (F,) or of another shape that broadcasts to the value's.
        free: (classes,), whether the channels of a class may have a factor at all.
    """

    layers: tuple[Layer, ...]
    values: Mapping[str, Labels]
    free: Mask

    def __len__(self) -> int:
        return len(self.free)


class _Factors(Trace):
    """A trace in which the two sides of a grouped convolution have nothing to do with each other."""

    def _couple_groups(self, layer: Layer) -> None:
        pass


def channel_factors(graph: Graph) -> ChannelFactors:
    """Follow the channels of a float `graph` without batch normalization (`for_inference`)."""
    trace = _Factors(graph)
    for node in graph.nodes:
        labels = [trace.values[name] for name in node.inputs]
        trace.values[node.name] = follow(trace, node)
        if not _passes_factors(graph, node):
            for each in (*labels, trace.values[node.name]):
                trace.classes.freeze(each, f"{node.name} does not pass factors on")
    trace.classes.freeze(trace.values[graph.output], "it is the network's answer")
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
    if node.op in ("add", "sub"):  # a value that is repeated for several channels would need the factors of all of them
        first, second = graph.input_shapes(node)
        return first == second
    return OPS[node.op].homogeneous  # ReLU6 is where its bound is moved as well, or goes

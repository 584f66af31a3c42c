"""Tracing of channels through a graph: the channel labels of every value, layer and tensor.

Each output channel of a convolution or linear layer gets a new label. The rules in `rules.py` pass labels through other
operations, and join labels whose channels must be pruned together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from pocketcnn.compression.coupling.classes import ChannelClasses, Labels
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node


@dataclass(frozen=True)
class Layer:
    """A convolution or linear layer with the labels of its channels.

    Attributes:
        node: name of its node.
        weight: name of its weight tensor.
        groups: groups of the convolution; 1 for a linear layer.
        inputs: (C,) labels during tracing, classes afterwards.
        outputs: (N,) the same for the output channels.
        depthwise_like: each group is removed as a whole, inputs with outputs, as in a depthwise convolution.
    """

    node: str
    weight: str
    groups: int
    inputs: Labels
    outputs: Labels
    depthwise_like: bool


@dataclass(frozen=True)
class Balance:
    """Groups of channels that must lose equally many: the inputs, or the outputs, of a grouped convolution.

    `groups` has shape (G, channels per group).
    """

    node: str
    groups: Labels


@dataclass
class Trace:
    """The state of tracing the channels of a graph."""

    graph: Graph
    classes: ChannelClasses = field(default_factory=ChannelClasses)
    values: dict[str, Labels] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)
    balances: list[Balance] = field(default_factory=list)
    vectors: dict[str, Labels] = field(default_factory=dict)
    _roles: Mapping[str, frozenset[tuple[str, str]]] = field(init=False)

    def __post_init__(self) -> None:
        self._roles = _roles(self.graph)

    def fixed(self, rank: int, reason: str) -> Labels:
        """The label of a value that cannot be pruned."""
        label = self.classes.fresh(1)
        self.classes.freeze(label, reason)
        return label.reshape((1,) * rank)

    def channels(self, labels: Labels, count: int) -> Labels:
        """The labels of `count` channels, (count,); labels that differ along other axes than the first are joined."""
        for axis in range(1, labels.ndim):
            labels = self.classes.unite_along(labels, axis)
        return np.broadcast_to(labels.reshape(-1), (count,))

    def vector(self, node: Node, role: str, labels: Labels) -> None:
        """Note that the tensor of `role`, if `node` has it, has one entry per channel and is sliced along axis 0 with
        `labels` (C,).
        """
        name = node.tensors.get(role)
        if name is None:
            return
        first = self.vectors.setdefault(name, labels)
        if len(self._roles[name]) > 1 or len(first) != len(labels):
            self.classes.freeze(np.concatenate([first, labels]), f"{name!r} is used in different ways")
        else:
            self.classes.unite(first, labels)

    def layer(self, node: Node, groups: int, inputs: Labels) -> Labels:
        """Trace a layer: new labels (N,) for its outputs, joined with those of a layer that shares its weight."""
        weight = node.tensors["weight"]
        outputs = self.classes.fresh(self.graph.tensors[weight].shape[0])
        layer = Layer(node.name, weight, groups, inputs, outputs, _is_depthwise_like(groups, len(inputs), len(outputs)))
        if len(self._roles[weight]) > 1:
            self._freeze_layer(layer, f"{weight!r} is used in different ways")
        for other in self.layers.values():
            if other.weight == weight:
                self._share(layer, other)
        self.layers[node.name] = layer
        self.vector(node, "bias", outputs)
        self._couple_groups(layer)
        return outputs

    def _share(self, layer: Layer, other: Layer) -> None:
        if layer.groups != other.groups:
            self._freeze_layer(layer, f"{layer.weight!r} is used with different groups")
            self._freeze_layer(other, f"{layer.weight!r} is used with different groups")
            return
        self.classes.unite(layer.inputs, other.inputs)
        self.classes.unite(layer.outputs, other.outputs)

    def _freeze_layer(self, layer: Layer, reason: str) -> None:
        self.classes.freeze(layer.inputs, reason)
        self.classes.freeze(layer.outputs, reason)

    def _couple_groups(self, layer: Layer) -> None:
        if layer.groups == 1:
            return
        sides = [side.reshape(layer.groups, -1) for side in (layer.inputs, layer.outputs)]
        if layer.depthwise_like:
            self.classes.unite(np.concatenate(sides, axis=1), sides[0][:, :1])
        else:
            self.balances += [Balance(layer.node, side) for side in sides]


def _is_depthwise_like(groups: int, inputs: int, outputs: int) -> bool:
    """Many narrow groups (depthwise, ResNeXt, RegNet) lose whole groups; a few wide ones (ShuffleNet) become narrower."""
    return groups > 1 and groups >= max(inputs, outputs) // groups


def _roles(graph: Graph) -> Mapping[str, frozenset[tuple[str, str]]]:
    """Tensor name -> the (operation, role) pairs in which it is used."""
    roles: dict[str, set[tuple[str, str]]] = {}
    for node in graph.nodes:
        for role, name in node.tensors.items():
            roles.setdefault(name, set()).add((node.op, role))
    return MappingProxyType({name: frozenset(pairs) for name, pairs in roles.items()})

"""Which channels of a graph can only be removed together, and which cannot be removed at all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pocketcnn.compression.coupling.classes import Labels, Mask
from pocketcnn.compression.coupling.rules import follow
from pocketcnn.compression.coupling.trace import Balance, Layer, Trace
from pocketcnn.errors import UsageError
from pocketcnn.graph.graph import Graph

ANSWER = "it is the network's answer"
"""Why the last layer keeps its channels."""


@dataclass(frozen=True)
class Channels:
    """The removable axis of a value, and the class of each position along it, (channels,)."""

    axis: int
    classes: Labels


@dataclass(frozen=True)
class Coupling:
    """The channels of a graph in classes: a class is removed from everywhere at once, or stays.

    Attributes:
        values: by node name, the channels of each value of which a part can go; other values stay whole.
        layers: the convolutions and linear layers with the classes of their inputs and outputs.
        vectors: by tensor name, the classes along axis 0 of the tensors with one entry a channel.
        balances: groups of channels of which equally many must go.
        frozen: the classes that must stay, and why.
        labels: classes are numbers below this one.
    """

    values: Mapping[str, Channels]
    layers: tuple[Layer, ...]
    vectors: Mapping[str, Labels]
    balances: tuple[Balance, ...]
    frozen: Mapping[int, str]
    labels: int

    def removable(self) -> Labels:
        """The classes that a layer makes and that nothing forbids to remove, in order."""
        return self._removable

    @cached_property
    def _removable(self) -> Labels:
        made = np.unique(np.concatenate([np.empty(0, np.int64), *(layer.outputs for layer in self.layers)]))
        return made[~np.isin(made, list(self.frozen))]

    def staying(self, removed: Iterable[int]) -> Mask:
        """For each class, (labels,), whether it is left when the classes `removed` go; index it with classes.

        Raises:
            UsageError: one of them must stay, or is no class of a layer's outputs.
        """
        wanted = np.fromiter((int(item) for item in removed), dtype=np.int64)
        for item in wanted[~np.isin(wanted, self.removable())].tolist():
            reason = self.frozen.get(item, "no layer makes it")
            raise UsageError(f"Channel class {item} cannot be removed: {reason}.")
        left = np.ones(self.labels, dtype=np.bool_)
        left[wanted] = False
        return left


def couple(graph: Graph) -> Coupling:
    """Follow the channels of `graph` through every operation.

    Raises:
        UsageError: the graph is quantized. Its scales belong to the channels that it has; prune first.
    """
    if graph.numerics:
        raise UsageError("A quantized network cannot be pruned: prune the float network, then quantize it.")
    trace = Trace(graph)
    for node in graph.nodes:
        trace.values[node.name] = follow(trace, node)
    trace.classes.freeze(trace.values[graph.output], ANSWER)
    for name, labels in trace.values.items():
        sets = trace.classes.find(labels)
        if (sets == sets.flat[0]).all():
            trace.classes.freeze(sets.ravel()[:1], f"nothing would be left of {name}")
    return _coupling(trace)


def _coupling(trace: Trace) -> Coupling:
    find, frozen = trace.classes.find, trace.classes.frozen()
    return Coupling(
        values={name: found for name, labels in trace.values.items() if (found := _channels(find(labels))) is not None},
        layers=tuple(
            replace(layer, inputs=find(layer.inputs), outputs=find(layer.outputs)) for layer in trace.layers.values()
        ),
        vectors={name: find(labels) for name, labels in trace.vectors.items()},
        balances=tuple(Balance(balance.node, find(balance.groups)) for balance in trace.balances),
        frozen=frozen,
        labels=len(trace.classes),
    )


def _channels(sets: Labels) -> Channels | None:
    """The one axis along which the classes of a value vary; None for a value of a single class, which is frozen."""
    varying = [axis for axis, size in enumerate(sets.shape) if size > 1]
    return Channels(varying[0], sets.ravel()) if varying and (sets != sets.flat[0]).any() else None

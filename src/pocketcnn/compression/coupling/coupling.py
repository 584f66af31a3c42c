"""Channel coupling: which channels of a graph must be pruned together, and which cannot be pruned."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from pocketcnn.compression.coupling.classes import Labels, Mask
from pocketcnn.compression.coupling.rules import follow
from pocketcnn.compression.coupling.trace import Balance, Layer, Trace
from pocketcnn.errors import UsageError
from pocketcnn.graph.graph import Graph

ANSWER = "it is the network's output"
"""Why the last layer keeps its channels."""


@dataclass(frozen=True)
class Channels:
    """The prunable axis of a value, and the class of each position along it, (channels,)."""

    axis: int
    classes: Labels


@dataclass(frozen=True)
class Coupling:
    """The channels of a graph in classes. A class is removed from all tensors at once, or kept.

    Attributes:
        values: by node name, the channels of each value that can be pruned; other values are kept whole.
        layers: the convolutions and linear layers with the classes of their inputs and outputs.
        vectors: by tensor name, the classes along axis 0 of tensors with one entry per channel.
        balances: groups of channels that must lose equally many.
        frozen: the classes that must be kept, and why.
        labels: upper bound (exclusive) on the numbers of classes.
    """

    values: Mapping[str, Channels]
    layers: tuple[Layer, ...]
    vectors: Mapping[str, Labels]
    balances: tuple[Balance, ...]
    frozen: Mapping[int, str]
    labels: int

    def removable(self) -> Labels:
        """The classes that a layer produces and that are not frozen, in order."""
        return self._removable

    @cached_property
    def _removable(self) -> Labels:
        made = np.unique(np.concatenate([np.empty(0, np.int64), *(layer.outputs for layer in self.layers)]))
        return made[~np.isin(made, list(self.frozen))]

    def kept_mask(self, removed: Iterable[int]) -> Mask:
        """A mask over classes, (labels,): which are kept when the classes `removed` are pruned. Index it with classes.

        Raises:
            UsageError: one of `removed` is frozen, or no layer produces it.
        """
        wanted = np.fromiter((int(item) for item in removed), dtype=np.int64)
        for item in wanted[~np.isin(wanted, self.removable())].tolist():
            reason = self.frozen.get(item, "no layer produces it")
            raise UsageError(f"Channel class {item} cannot be removed: {reason}.")
        left = np.ones(self.labels, dtype=np.bool_)
        left[wanted] = False
        return left


def couple(graph: Graph) -> Coupling:
    """Trace the channels of `graph` through every operation.

    The result plays the role of the dependency graph in "DepGraph: Towards Any Structural Pruning" (Fang et al., CVPR 2023).

    Raises:
        UsageError: the graph is quantized. Its scales belong to its channels, so prune before quantizing.
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
            trace.classes.freeze(sets.ravel()[:1], f"removing it would leave {name} without channels")
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
    """The axis along which the classes of a value vary; None for a value of a single class, which is frozen."""
    varying = [axis for axis, size in enumerate(sets.shape) if size > 1]
    return Channels(varying[0], sets.ravel()) if varying and (sets != sets.flat[0]).any() else None

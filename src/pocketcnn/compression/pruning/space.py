"""The pruning space: all ways to prune a graph by whole steps of its channel groups, and the resource use of each.

All methods that choose how much each group loses (NetAdapt, a learned policy, uniform, random) search the same space, so that
their results are comparable.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from math import ceil

import numpy as np
from numpy.typing import NDArray

from pocketcnn.compression.coupling import Coupling, couple, remove
from pocketcnn.compression.pruning.layer_madds import LayerMadds
from pocketcnn.compression.pruning.meta_graph import MetaGraph
from pocketcnn.compression.pruning.prune import Batches, PruneSettings, ordered
from pocketcnn.compression.pruning.resource import Resource
from pocketcnn.compression.pruning.schedule import Counts, Schedule
from pocketcnn.compression.pruning.widths import MAX_WIDTHS_PROBED
from pocketcnn.graph import Graph


@dataclass(frozen=True)
class PruningSpace:
    """For each group of coupled channels, how many units are removed; the least important ones first.

    Attributes:
        graph: the unpruned graph.
        coupling: its channel coupling.
        order: its channel groups, and the units in pruning order.
        resource: what pruning should reduce.
        limits: by group, the largest number of removable units.
    """

    graph: Graph
    coupling: Coupling
    order: Schedule
    resource: Resource
    limits: Counts
    _cache: dict[Counts, float] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        graph: Graph,
        resource: Resource,
        settings: PruneSettings | None = None,
        batches: Batches = (),
        widths: Mapping[str, int] | None = None,
    ) -> "PruningSpace":
        """The pruning space of a float graph.

        Args:
            graph: a float graph.
            resource: what pruning should reduce.
            settings: criterion and width limits.
            batches: labelled images for importance criteria that need them.
            widths: output channels by layer to which `settings.floor` refers; those of `graph` by default. For a graph that
                was pruned before, pass its original widths.

        Raises:
            UsageError: the graph is quantized, or the criterion lacks its images.
        """
        settings, coupling = settings or PruneSettings(), couple(graph)
        order = ordered(graph, coupling, settings, batches)
        floors = {
            layer.node: max(settings.min_channels, ceil(settings.floor * (widths or {}).get(layer.node, 0)))
            for layer in coupling.layers
        }
        limits = []
        for index, group in enumerate(order.groups):
            spare = min((graph[layer].shape[0] - floors[layer]) // width for layer, width in group.width.items())
            limits.append(order.rounded(index, max(0, min(spare, len(order.removable_units(index))))))
        return cls(graph, coupling, order, resource, tuple(limits))

    @property
    def no_pruning(self) -> Counts:
        """The counts that remove nothing."""
        return (0,) * len(self.limits)

    @cached_property
    def choices(self) -> tuple[tuple[int, ...], ...]:
        """By group, the allowed counts of removed units, 0 first: whole steps that reduce the resource.

        A runtime computes channels in blocks, so a narrower layer may take longer than a wider one. If a latency is
        predicted, a count is left out when a smaller one is as fast, with all other groups whole. A group that saves no time
        keeps its steps if other quantities are limited too.
        """
        steps = (
            sorted({self.order.rounded(group, lost) for lost in range(limit + 1)})
            for group, limit in enumerate(self.limits)
        )
        if self.resource.seconds is None:
            return tuple(map(tuple, steps))
        whole = self._seconds(self.no_pruning)
        return tuple(self._faster_counts(group, each, whole) for group, each in enumerate(steps))

    def _faster_counts(self, group: int, steps: Sequence[int], whole: float) -> tuple[int, ...]:
        """Those of `steps` that are faster than all smaller ones; `whole` is the latency of the unpruned graph in seconds."""
        faster, least = [0], whole
        for lost in sorted({*steps[:: ceil(len(steps) / MAX_WIDTHS_PROBED)], steps[-1]} - {0}):
            seconds = self._seconds(with_count(self.no_pruning, group, lost))
            if seconds < least:
                faster.append(lost)
                least = seconds
        return tuple(faster) if len(faster) > 1 or self._is_latency_only else tuple(steps)

    @property
    def _is_latency_only(self) -> bool:
        return self.resource.use is self.resource.seconds

    def _seconds(self, counts: Counts) -> float:
        if self.resource.seconds is None or self._is_latency_only:
            return self.use(counts)  # cached
        return self.resource.seconds(self._meta_graph.without(self.order.classes(counts)))

    @cached_property
    def max_counts(self) -> Counts:
        """By group, the largest allowed count."""
        return tuple(choices[-1] for choices in self.choices)

    @cached_property
    def prunable(self) -> tuple[int, ...]:
        """The groups that can lose units."""
        return tuple(group for group, choices in enumerate(self.choices) if len(choices) > 1)

    def units(self, group: int) -> int:
        """The number of units of a group."""
        return len(self.order.groups[group].units)

    def layers(self, group: int) -> tuple[str, ...]:
        """The layers that produce the channels of a group."""
        return tuple(self.order.groups[group].width)

    def nearest_count(self, group: int, lost: float) -> int:
        """The allowed count of a group nearest to `lost` units; the smaller of two."""
        return min(self.choices[group], key=lambda choice: (abs(choice - lost), choice))

    def prune(self, counts: Counts) -> Graph:
        """The graph pruned by `counts`."""
        return remove(self.graph, self.order.classes(counts), self.coupling)

    def use(self, counts: Counts) -> float:
        """The resource use of the graph pruned by `counts`."""
        if self.resource.per_madd is not None:
            return float(self.madds(counts).sum()) * self.resource.per_madd
        if counts not in self._cache:
            pruned = (
                self._meta_graph.without(self.order.classes(counts)) if self.resource.by_shape else self.prune(counts)
            )
            self._cache[counts] = self.resource.use(pruned)
        return self._cache[counts]

    def madds(self, counts: Counts) -> NDArray[np.int64]:
        """Multiply-adds of each layer, in the order of `layer_names`."""
        return self._layers.without(self.order.classes(counts))

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The convolutions and linear layers in the order in which they run."""
        return self._layers.names

    @cached_property
    def _layers(self) -> LayerMadds:
        return LayerMadds.of(self.graph, self.coupling)

    @cached_property
    def _meta_graph(self) -> MetaGraph:
        return MetaGraph.of(self.graph, self.coupling, at_inference=self.resource.at_inference)

    def min_count(self, group: int, counts: Counts, bound: float) -> int | None:
        """The smallest count of `group` that meets `bound` when the others lose `counts`; None if there is none."""
        choices = self.choices[group]
        if not self._keeps_bound(group, counts, bound, choices[-1]):
            return None
        kept = partial(self._keeps_bound, group, counts, bound)
        return choices[bisect_left(choices, True, hi=len(choices) - 1, key=kept)]

    def _keeps_bound(self, group: int, counts: Counts, bound: float, lost: int) -> bool:
        return self.use(with_count(counts, group, lost)) <= bound


def with_count(counts: Counts, group: int, lost: int) -> Counts:
    """`counts` with another count for one group."""
    return (*counts[:group], lost, *counts[group + 1 :])

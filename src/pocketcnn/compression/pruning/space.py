"""All the ways to narrow a graph by whole steps of its channel groups, and what each would use of a resource.

What chooses how much each group loses (a loop over proposals, a learned policy, a uniform share, chance) moves in the same
space, so their results differ by that choice alone.
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
from pocketcnn.compression.pruning.widths import MOST_TRIED
from pocketcnn.graph import Graph


@dataclass(frozen=True)
class PruningSpace:
    """For each group of coupled channels, how many of its units go; the least important ones go first.

    Attributes:
        graph: what is narrowed.
        order: its channel groups, and the units in the order in which they go.
        resource: what narrowing is meant to save.
        limits: by group, the most units that may go.
    """

    graph: Graph
    coupling: Coupling
    order: Schedule
    resource: Resource
    limits: Counts
    _known: dict[Counts, float] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        graph: Graph,
        resource: Resource,
        settings: PruneSettings | None = None,
        batches: Batches = (),
        widths: Mapping[str, int] | None = None,
    ) -> "PruningSpace":
        """The space of a float graph.

        Args:
            batches: labelled images for criteria of importance that need them.
            widths: output channels by layer that `settings.floor` is a share of; those of `graph` unless given. A graph
                that has been narrowed before is so held to what it once had.

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
        for place, group in enumerate(order.groups):
            spare = min((graph[layer].shape[0] - floors[layer]) // width for layer, width in group.width.items())
            limits.append(order.rounded(place, max(0, min(spare, len(order.leaving(place))))))
        return cls(graph, coupling, order, resource, tuple(limits))

    @property
    def none(self) -> Counts:
        """No channel goes."""
        return (0,) * len(self.limits)

    @cached_property
    def choices(self) -> tuple[tuple[int, ...], ...]:
        """By group, how many units can go so that whole steps are left, none first, and so that it saves something.

        A runtime computes channels in blocks, so a narrower layer may take longer than a wider one. Where a latency is
        predicted, a choice is left out when one that takes fewer units is as fast, all else being whole; a group that saves
        no time keeps its steps where something else is limited too.
        """
        steps = (
            sorted({self.order.rounded(group, lost) for lost in range(limit + 1)})
            for group, limit in enumerate(self.limits)
        )
        if self.resource.seconds is None:
            return tuple(map(tuple, steps))
        whole = self._seconds(self.none)
        return tuple(self._paying(group, each, whole) for group, each in enumerate(steps))

    def _paying(self, group: int, steps: Sequence[int], whole: float) -> tuple[int, ...]:
        """Of `steps` those that are faster than all before them; `whole` are the seconds without any."""
        paying, least = [0], whole
        for lost in sorted({*steps[:: ceil(len(steps) / MOST_TRIED)], steps[-1]} - {0}):
            seconds = self._seconds(with_count(self.none, group, lost))
            if seconds < least:
                paying.append(lost)
                least = seconds
        return tuple(paying) if len(paying) > 1 or self._is_time_alone else tuple(steps)

    @property
    def _is_time_alone(self) -> bool:
        return self.resource.use is self.resource.seconds

    def _seconds(self, counts: Counts) -> float:
        if self.resource.seconds is None or self._is_time_alone:
            return self.use(counts)  # which remembers
        return self.resource.seconds(self._outline.without(self.order.classes(counts)))

    @cached_property
    def most(self) -> Counts:
        """By group, the largest of its choices."""
        return tuple(choices[-1] for choices in self.choices)

    @cached_property
    def movable(self) -> tuple[int, ...]:
        """The groups that can lose anything."""
        return tuple(group for group, choices in enumerate(self.choices) if len(choices) > 1)

    def units(self, group: int) -> int:
        """How many units a group has."""
        return len(self.order.groups[group].units)

    def layers(self, group: int) -> tuple[str, ...]:
        """The layers that make the channels of a group."""
        return tuple(self.order.groups[group].width)

    def nearest(self, group: int, lost: float) -> int:
        """The choice of a group that is nearest to `lost` units; between two, the one that loses less."""
        return min(self.choices[group], key=lambda choice: (abs(choice - lost), choice))

    def cut(self, counts: Counts) -> Graph:
        """The graph without what `counts` says."""
        return remove(self.graph, self.order.classes(counts), self.coupling)

    def use(self, counts: Counts) -> float:
        """The resource of the graph without what `counts` says."""
        if self.resource.of_a_madd is not None:
            return float(self.madds(counts).sum()) * self.resource.of_a_madd
        if counts not in self._known:
            narrowed = self._outline.without(self.order.classes(counts)) if self.resource.by_shape else self.cut(counts)
            self._known[counts] = self.resource.use(narrowed)
        return self._known[counts]

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
    def _outline(self) -> MetaGraph:
        return MetaGraph.of(self.graph, self.coupling, at_inference=self.resource.at_inference)

    def fewest(self, group: int, counts: Counts, bound: float) -> int | None:
        """The fewest units that `group` must lose, where the others lose `counts`, to keep `bound`; None if none is enough."""
        choices = self.choices[group]
        if not self._keeps(group, counts, bound, choices[-1]):
            return None
        kept = partial(self._keeps, group, counts, bound)
        return choices[bisect_left(choices, True, hi=len(choices) - 1, key=kept)]

    def _keeps(self, group: int, counts: Counts, bound: float, lost: int) -> bool:
        return self.use(with_count(counts, group, lost)) <= bound


def with_count(counts: Counts, group: int, lost: int) -> Counts:
    """`counts` with another number for one group."""
    return (*counts[:group], lost, *counts[group + 1 :])

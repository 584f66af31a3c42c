"""Units of channels whose removal keeps the groups of every grouped convolution equally wide.

With a channel shuffle between two grouped convolutions (ShuffleNet, Figure 1), channels are the edges of a regular bipartite
multigraph, from the group that writes a channel to the group that reads it. A set that narrows all groups equally is a
perfect matching, and a regular multigraph always has one. With more constraints (a residual trunk) the matching is harder, so
a bounded depth-first search is used. Channels that it cannot balance are not pruned.
"""

from collections.abc import Sequence

import numpy as np

from pocketcnn.compression.coupling.classes import Labels
from pocketcnn.compression.coupling.trace import Balance

Unit = tuple[int, ...]
"""Channel classes that are pruned in one step."""

MAX_STEPS = 20_000
"""Bound on the steps of the whole search; ShuffleNetV1 needs about one step per channel."""

MAX_PER_GROUP = 4
"""A unit takes at most so many channels from a group, unless a single class takes more."""


def balanced_units(order: Sequence[int], balances: Sequence[Balance]) -> list[Unit]:
    """Disjoint sets of the classes in `order` whose removal keeps every balance, each as small as the search finds.

    Classes near each other in `order` are combined where possible. A class that needs no partner forms its own unit. A class
    without possible partners is in no unit.
    """
    classes = np.array(order, dtype=np.int64)
    search = _Search(*_channels_per_group(classes, balances))
    found = (search.unit_of(index) for index in range(len(classes)))
    return [tuple(sorted(classes[members].tolist())) for members in found if members]


def _channels_per_group(classes: Labels, balances: Sequence[Balance]) -> tuple[Labels, Labels]:
    """The channels that each class takes from each group, (classes, groups of all balances), and the first column of each
    balance.
    """
    distinct = {balance.groups.tobytes(): balance.groups for balance in balances}.values()
    columns = [_count(group, classes) for groups in distinct for group in groups]
    starts = np.cumsum([0, *(len(groups) for groups in distinct)], dtype=np.int64)[:-1]
    return np.stack(columns, axis=1) if columns else np.zeros((len(classes), 0), np.int64), starts


def _count(group: Labels, classes: Labels) -> Labels:
    """How often each class occurs in `group`."""
    found, counts = np.unique(group, return_counts=True)
    occurrences = dict(zip(found.tolist(), counts.tolist(), strict=True))
    return np.array([occurrences.get(item, 0) for item in classes.tolist()], dtype=np.int64)


class _Search:
    """The classes that are not yet in a unit, by kind: classes of one kind take the same number of channels from every group."""

    def __init__(self, taken: Labels, starts: Labels) -> None:
        self.takes, kinds = np.unique(taken, axis=0, return_inverse=True)  # (kinds, groups)
        self.kinds: list[int] = kinds.ravel().tolist()
        self.starts = starts
        self.sizes = np.diff([*starts, taken.shape[1]])
        self.unassigned: list[list[int]] = [[] for _ in self.takes]
        for index, kind in enumerate(self.kinds):
            self.unassigned[kind].append(index)
        self.free = np.array([len(members) for members in self.unassigned], dtype=np.int64)
        self.unmatchable: set[int] = set()
        self.steps = 0

    def unit_of(self, index: int) -> list[int]:
        """The indices of a balanced unit that contains `index`, removed from the search; empty if there is none."""
        kind = self.kinds[index]
        if kind in self.unmatchable or index not in self.unassigned[kind]:
            return []
        self.free[kind] -= 1
        alone = int(self.takes[kind].max(initial=1))
        for max_per_group in range(alone, max(alone, MAX_PER_GROUP) + 1):  # the smallest unit first
            if chosen := self._complete([kind], self.takes[kind], max_per_group):
                return [self.unassigned[member].pop(0) for member in chosen]
        self.free[kind] += 1
        self.unmatchable.add(kind)
        return []

    def _complete(self, chosen: list[int], total: Labels, max_per_group: int) -> list[int]:
        """Add kinds to `chosen` until all groups of each balance lose equally many channels, at most `max_per_group`.

        `total` is what `chosen` takes from each group. The kinds in `chosen` are taken from `free`; those of a failed attempt
        are put back.
        """
        lacking = self._lacking(total)
        if not lacking.size:
            return chosen
        for kind in self._candidates(lacking, total, max_per_group):
            self.steps += 1
            if self.steps > MAX_STEPS:
                return []
            self.free[kind] -= 1
            if found := self._complete([*chosen, kind], total + self.takes[kind], max_per_group):
                return found
            self.free[kind] += 1
        return []

    def _lacking(self, total: Labels) -> Labels:
        """The groups that lose fewer channels than another group of their balance."""
        if not self.starts.size:
            return self.starts
        highest = np.repeat(np.maximum.reduceat(total, self.starts), self.sizes)
        return np.flatnonzero(total < highest)

    def _candidates(self, lacking: Labels, total: Labels, max_per_group: int) -> list[int]:
        """The kinds that take channels from the lacking group with the fewest options, ordered by their earliest class."""
        fits = (self.free > 0) & (self.takes + total <= max_per_group).all(axis=1)
        able = (self.takes[:, lacking] > 0) & fits[:, None]  # (kinds, lacking groups)
        kinds = np.flatnonzero(able[:, able.sum(axis=0).argmin()]).tolist()
        return sorted(kinds, key=lambda kind: self.unassigned[kind][-int(self.free[kind])])

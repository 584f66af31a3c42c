"""Classes brought together so that the groups of every grouped convolution lose equally many channels.

With a channel shuffle between two grouped convolutions (ShuffleNet paper, Figure 1) the channels are the edges of a
regular bipartite multigraph: from the group that makes a channel to the group that reads it. A set that narrows all
groups alike is a perfect matching, and a regular multigraph always has one. More constraints at once (a residual trunk)
make it a harder matching, so a bounded depth-first search is used; what it cannot balance is not pruned.
"""

from collections.abc import Sequence

import numpy as np

from pocketcnn.compression.coupling.classes import Labels
from pocketcnn.compression.coupling.trace import Balance

Unit = tuple[int, ...]
"""Classes that are removed in one step."""

MOST_STEPS = 20_000
"""Bound of the whole search; ShuffleNetV1 needs about as many steps as it has channels."""

MOST_FROM_A_GROUP = 4
"""No unit takes more channels than this from a group, unless one class alone does."""


def balanced_units(order: Sequence[int], balances: Sequence[Balance]) -> list[Unit]:
    """Disjoint sets of the classes in `order` whose removal keeps every balance; as few classes a set as the search finds.

    Classes early in `order` are put together with each other where that is possible. A class that needs no partner is
    a unit alone; one without partners is in no unit.
    """
    classes = np.array(order, dtype=np.int64)
    search = _Search(*_taken(classes, balances))
    found = (search.unit_of(place) for place in range(len(classes)))
    return [tuple(sorted(classes[members].tolist())) for members in found if members]


def _taken(classes: Labels, balances: Sequence[Balance]) -> tuple[Labels, Labels]:
    """How many channels each class takes from each group, (classes, groups of all balances), and where balances start."""
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
    """The classes not yet in a unit, by kind: classes that take the same from every group can stand for each other."""

    def __init__(self, taken: Labels, starts: Labels) -> None:
        self.takes, kinds = np.unique(taken, axis=0, return_inverse=True)  # (kinds, groups)
        self.kinds: list[int] = kinds.ravel().tolist()
        self.starts = starts
        self.sizes = np.diff([*starts, taken.shape[1]])
        self.waiting: list[list[int]] = [[] for _ in self.takes]
        for place, kind in enumerate(self.kinds):
            self.waiting[kind].append(place)
        self.free = np.array([len(places) for places in self.waiting], dtype=np.int64)
        self.hopeless: set[int] = set()
        self.steps = 0

    def unit_of(self, place: int) -> list[int]:
        """The places of a balanced unit that contains `place`, taken out of the search; empty if there is none."""
        kind = self.kinds[place]
        if kind in self.hopeless or place not in self.waiting[kind]:
            return []
        self.free[kind] -= 1
        alone = int(self.takes[kind].max(initial=1))
        for most in range(alone, max(alone, MOST_FROM_A_GROUP) + 1):  # the smallest unit first
            if chosen := self._complete([kind], self.takes[kind], most):
                return [self.waiting[member].pop(0) for member in chosen]
        self.free[kind] += 1
        self.hopeless.add(kind)
        return []

    def _complete(self, chosen: list[int], total: Labels, most: int) -> list[int]:
        """Add kinds to `chosen`, which take `total`, until all groups of each balance give equally many, `most` at most.

        The kinds that `chosen` holds are taken from `free`; those of a failed attempt are put back.
        """
        lacking = self._lacking(total)
        if not lacking.size:
            return chosen
        for kind in self._candidates(lacking, total, most):
            self.steps += 1
            if self.steps > MOST_STEPS:
                return []
            self.free[kind] -= 1
            if found := self._complete([*chosen, kind], total + self.takes[kind], most):
                return found
            self.free[kind] += 1
        return []

    def _lacking(self, total: Labels) -> Labels:
        """The groups that give less than another group of their balance."""
        if not self.starts.size:
            return self.starts
        highest = np.repeat(np.maximum.reduceat(total, self.starts), self.sizes)
        return np.flatnonzero(total < highest)

    def _candidates(self, lacking: Labels, total: Labels, most: int) -> list[int]:
        """The kinds that add to the lacking group with the fewest choices, the one with the earliest class first."""
        fits = (self.free > 0) & (self.takes + total <= most).all(axis=1)
        able = (self.takes[:, lacking] > 0) & fits[:, None]  # (kinds, lacking groups)
        kinds = np.flatnonzero(able[:, able.sum(axis=0).argmin()]).tolist()
        return sorted(kinds, key=lambda kind: self.waiting[kind][-int(self.free[kind])])

"""The pruning schedule: all removable units in order, and the widths that groups may have.

Removing the first k units, rounded to allowed widths, gives smaller networks as k grows. A search over k can meet any budget.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pocketcnn.compression.coupling import ChannelGroup, Coupling
from pocketcnn.compression.coupling.balance import Unit

Counts = tuple[int, ...]
"""How many units each group loses."""

Scored = Sequence[tuple[float, Unit]]
"""The units of one group with their scores, least important first."""

Allocation = Callable[[ChannelGroup, Scored], Sequence[float]]
"""Turns the units of one group into sort keys: units are removed in the order of the keys of all groups (`allocation`)."""


def globally(group: ChannelGroup, units: Scored) -> list[float]:  # noqa: ARG001
    """One global ranking: the unit with the lowest score is removed first, whichever layer it is in."""
    return [score for score, _ in units]


@dataclass(frozen=True)
class Schedule:
    """Units in the order in which they are pruned.

    Attributes:
        groups: the channel groups.
        steps: by group, the number of units per step of its width.
        order: (group, score, unit) of all removable units, least important first.
        widths: by group, the numbers of units that it may keep, ascending; None where these are the multiples of its step.
    """

    groups: tuple[ChannelGroup, ...]
    steps: tuple[int, ...]
    order: tuple[tuple[int, float, Unit], ...]
    widths: tuple[tuple[int, ...] | None, ...] = ()

    def counts(self, removed: int) -> Counts:
        """The first `removed` units of the order as counts by group, each width rounded up to a step."""
        lost = Counter(group for group, _, _ in self.order[:removed])
        return tuple(self.rounded(group, lost[group]) for group in range(len(self.groups)))

    def rounded(self, group: int, lost: int) -> int:
        """The largest count, at most `lost`, that leaves an allowed width: whole steps, or the full width."""
        units, step = len(self.groups[group].units), self.steps[group]
        allowed = self.widths[group] if self.widths else None
        if allowed is not None:
            return units - min((width for width in allowed if width >= units - lost), default=units)
        return max(0, units - math.ceil((units - lost) / step) * step)

    def removable_units(self, group: int) -> list[tuple[float, Unit]]:
        """The removable units of a group, in order, with their scores."""
        return [(score, unit) for index, score, unit in self.order if index == group]

    def classes(self, counts: Counts) -> tuple[int, ...]:
        """The removed classes when each group has lost its count, sorted."""
        left = list(counts)
        gone: list[int] = []
        for group, _, unit in self.order:
            if left[group]:
                left[group] -= 1
                gone.extend(unit)
        return tuple(sorted(gone))


def schedule(
    coupling: Coupling,
    groups: Sequence[ChannelGroup],
    scores: Mapping[int, float],
    *,
    multiple: int,
    min_channels: int,
    floor: float,
    allocation: Allocation = globally,
    widths: tuple[tuple[int, ...] | None, ...] = (),
) -> Schedule:
    """Order the units of `groups` by mean score and `allocation`, and leave out those that must be kept.

    A unit is kept if one of its scores is infinite, or if removing it would leave a feature map with fewer than
    `min_channels` channels or less than the share `floor` of its channels.
    """
    ranked = sorted(
        (key, index, score, unit)
        for index, group in enumerate(groups)
        for key, (score, unit) in _keyed(group, scored_units(group, scores), allocation)
    )
    guard = _MinWidthGuard(coupling, min_channels, floor)
    order = tuple((index, key, unit) for key, index, _, unit in ranked if np.isfinite(key) and guard.allows(unit))
    return Schedule(tuple(groups), tuple(step_of(group, multiple) for group in groups), order, widths)


def scored_units(group: ChannelGroup, scores: Mapping[int, float]) -> list[tuple[float, Unit]]:
    """The units of a group with the mean score of their classes, least important first."""
    return sorted((float(np.mean([scores[item] for item in unit])), unit) for unit in group.units)


def _keyed(group: ChannelGroup, units: Scored, allocation: Allocation) -> list[tuple[float, tuple[float, Unit]]]:
    return list(zip(allocation(group, units), units, strict=True))


def step_of(group: ChannelGroup, multiple: int) -> int:
    """Units per step: the fewest that take a multiple of `multiple` channels from every layer of the group.

    A group with fewer than two steps uses a half, a quarter, … of `multiple`, so that narrow layers can shrink too.
    """
    while True:
        step = math.lcm(*(multiple // math.gcd(multiple, width) for width in group.width.values()))
        if 2 * step <= len(group.units) or multiple == 1:
            return step
        multiple = multiple // 2 if multiple % 2 == 0 else 1


class _MinWidthGuard:
    """Ensures that no feature map gets too narrow."""

    def __init__(self, coupling: Coupling, min_channels: int, floor: float) -> None:
        self._parts: dict[int, list[tuple[int, int]]] = {}  # class -> (value, channels of the class in it)
        self._spare: list[int] = []
        for classes in {part.classes.tobytes(): part.classes for part in coupling.values.values()}.values():
            for item, count in zip(*np.unique(classes, return_counts=True), strict=True):
                self._parts.setdefault(int(item), []).append((len(self._spare), int(count)))
            self._spare.append(len(classes) - max(1, min_channels, math.ceil(floor * len(classes))))

    def allows(self, unit: Unit) -> bool:
        """Whether `unit` may be removed; if so, it counts as removed."""
        needed: Counter[int] = Counter()
        for item in unit:
            for value, count in self._parts.get(item, ()):
                needed[value] += count
        if any(count > self._spare[value] for value, count in needed.items()):
            return False
        for value, count in needed.items():
            self._spare[value] -= count
        return True

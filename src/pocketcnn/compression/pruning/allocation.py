"""How the channels that go are spread over the groups: by one ranking of all, the same share of each, or by sensitivity.

A spread turns the units of one group, least important first, into keys; units go in the order of the keys of all groups.
"""

from collections.abc import Callable, Sequence
from math import isfinite

from pocketcnn.compression.pruning.coupling import ChannelGroup
from pocketcnn.compression.pruning.coupling.balance import Unit

Scored = Sequence[tuple[float, Unit]]
Allocation = Callable[[ChannelGroup, Scored], Sequence[float]]


def globally(group: ChannelGroup, units: Scored) -> list[float]:  # noqa: ARG001
    """One ranking of all: a unit goes when its score is the lowest, wherever it is."""
    return [score for score, _ in units]


def uniformly(group: ChannelGroup, units: Scored) -> list[float]:  # noqa: ARG001
    """The same share of each group; scores decide within a group only."""
    return [(rank + 1) / len(units) if isfinite(score) else score for rank, (score, _) in enumerate(units)]


ALLOCATIONS: dict[str, Allocation] = {"global": globally, "uniform": uniformly}

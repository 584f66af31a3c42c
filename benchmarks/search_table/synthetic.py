"""A search space whose best point is known: each choice is worth something, and so is each pair of neighbouring choices.

Neighbours form a chain, so that the best and the worst of the 4^16 points are found exactly by dynamic programming. A choice also
has a cost; the cheapest choices are not the best ones, so that there is a front.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from pocketcnn.nas.space import Decision, Point, Space, Task
from pocketcnn.nas.trial import Evaluation, Proposal

DECISIONS, CHOICES = 16, 4
PAIRS = 0.7
"""Deviation of what a pair of neighbours is worth, where that of a single choice is 1: how much decisions hang together."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ChainSpace(Space):
    """`decisions` decisions of `choices` choices each, whose worth is drawn from `seed`."""

    seed: int
    length: int = DECISIONS
    choices: int = CHOICES
    name = "chain"

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        return tuple(Decision(f"decision{place}", tuple(range(self.choices))) for place in range(self.length))

    @cached_property
    def worths(self) -> tuple[Floats, Floats, Floats]:
        """Of choices (length, choices), of neighbouring pairs (length - 1, choices, choices), and the cost of choices."""
        rng = np.random.default_rng(self.seed)
        alone = rng.standard_normal((self.length, self.choices))
        pairs = PAIRS * rng.standard_normal((self.length - 1, self.choices, self.choices))
        cost = rng.uniform(0.2, 1.0, (self.length, self.choices))
        return alone, pairs, cost

    @cached_property
    def ends(self) -> tuple[float, float]:
        """What the worst and the best point are worth."""
        alone, pairs, _ = self.worths
        return tuple(_end(alone, pairs, most) for most in (np.min, np.max))  # type: ignore[return-value]

    def accuracy(self, point: Point) -> float:
        """From 0, the worst point, to 1, the best."""
        alone, pairs, _ = self.worths
        places = [int(point[decision.name]) for decision in self.decisions]
        worth = sum(alone[number, place] for number, place in enumerate(places))
        worth += sum(pairs[number, left, right] for number, (left, right) in enumerate(pairwise(places)))
        worst, best = self.ends
        return float((worth - worst) / (best - worst))

    def use(self, point: Point) -> float:
        """The share of a budget that is as large as the mean cost of a point."""
        _, _, cost = self.worths
        spent = sum(cost[number, int(point[decision.name])] for number, decision in enumerate(self.decisions))
        return float(spent / cost.mean(1).sum())

    def evaluate(self, proposal: Proposal, number: int) -> Evaluation:
        """At once, and without error; a short training is seen through noise, the more the shorter it is."""
        seen = self.accuracy(proposal.point)
        if proposal.training < 1:
            rng = np.random.default_rng([self.seed, number])
            seen += float(0.05 * (1 / proposal.training - 1) ** 0.5 * rng.standard_normal())
        return Evaluation(min(max(seen, 0.0), 1.0), self.use(proposal.point))

    def build(self, point: Point, task: Task) -> nn.Module:
        raise NotImplementedError("there are no networks in this space")

    def describe(self, point: Point) -> list[str]:
        return [f"{name} {choice}" for name, choice in point.items()]


def _end(alone: Floats, pairs: Floats, most: Callable[..., Any]) -> float:
    """The lowest or highest worth, choice by choice along the chain."""
    reached = alone[0]
    for number in range(1, len(alone)):
        reached = most(reached[:, None] + pairs[number - 1], axis=0) + alone[number]
    return float(most(reached))

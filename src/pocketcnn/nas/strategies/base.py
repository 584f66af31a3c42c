"""The interface of a search strategy, random search (the baseline of all others), and the warm start from given points."""

import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pocketcnn.nas.space import Point, Space, key_of
from pocketcnn.nas.trial import History, Proposal

REDRAWS = 50
"""How often a point that was proposed before is drawn again."""


class Strategy(ABC):
    """Proposes points of a space."""

    name: str

    def __init__(self, space: Space) -> None:
        self.space = space

    @abstractmethod
    def propose(self, history: History, seed: int, number: int) -> Proposal:
        """The proposal of trial `number`, counted from 0. It is deterministic for a history and seed."""

    def trials(self, evaluations: int) -> int:
        """How many trials take the training time of `evaluations` full evaluations."""
        return evaluations

    def rng(self, seed: int, number: int) -> np.random.Generator:
        """The random stream of one trial, separate for each strategy."""
        return np.random.default_rng([zlib.crc32(self.name.encode()), seed, number])

    def new_point(self, history: History, rng: np.random.Generator) -> Point:
        """A random point that was not proposed before, if one is found."""
        known = {trial.proposal.key for trial in history}
        point = self.space.random(rng)
        for _ in range(REDRAWS):
            if key_of(point) not in known:
                break
            point = self.space.random(rng)
        return point


class RandomSearch(Strategy):
    """Uniform random search, avoiding repeated points."""

    name = "random"

    def propose(self, history: History, seed: int, number: int) -> Proposal:
        return Proposal(self.new_point(history, self.rng(seed, number)))


class WarmStart(Strategy):
    """Proposes the given points first, then those of a strategy, which learns from all of them."""

    def __init__(self, strategy: Strategy, points: Sequence[Point]) -> None:
        super().__init__(strategy.space)
        self.strategy, self.points, self.name = strategy, tuple(points), strategy.name

    def trials(self, evaluations: int) -> int:
        return self.strategy.trials(evaluations)

    def propose(self, history: History, seed: int, number: int) -> Proposal:
        proposal = self.strategy.propose(history, seed, number)
        return replace(proposal, point=self.points[number]) if number < len(self.points) else proposal

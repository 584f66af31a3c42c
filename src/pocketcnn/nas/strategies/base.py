"""What every strategy is: a function from the history of a search to the next proposal.

Nothing else is remembered, so that a search that was stopped goes on exactly as it would have, from its record alone. What a
strategy keeps between two calls is only what it would find again in the history.
"""

import zlib
from abc import ABC, abstractmethod

import numpy as np

from pocketcnn.nas.space import Point, Space, key_of
from pocketcnn.nas.trial import History, Proposal

REDRAWS = 50
"""How often a point that was proposed before is drawn anew."""


class Strategy(ABC):
    """Proposes points of a space."""

    name: str

    def __init__(self, space: Space) -> None:
        self.space = space

    @abstractmethod
    def propose(self, history: History, seed: int, number: int) -> Proposal:
        """The proposal of trial `number`, counted from 0: the same for the same history and seed."""

    def trials(self, evaluations: int) -> int:
        """How many trials cost as much training as so many whole evaluations."""
        return evaluations

    def rng(self, seed: int, number: int) -> np.random.Generator:
        """The random stream of one trial; strategies draw apart from each other."""
        return np.random.default_rng([zlib.crc32(self.name.encode()), seed, number])

    def new_point(self, history: History, rng: np.random.Generator) -> Point:
        """A random point that was not proposed before, as far as there are any."""
        known = {trial.proposal.key for trial in history}
        point = self.space.random(rng)
        for _ in range(REDRAWS):
            if key_of(point) not in known:
                break
            point = self.space.random(rng)
        return point

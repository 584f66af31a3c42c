"""Regularized evolution: the best of a random sample of the population is mutated, and the oldest member is removed.

"Regularized Evolution for Image Classifier Architecture Search" (Real et al., 2019), algorithm 1. Each child replaces the
oldest member, so the population is simply the latest trials.
"""

from dataclasses import dataclass

from pocketcnn.errors import UsageError
from pocketcnn.nas.space import Space, key_of
from pocketcnn.nas.strategies.base import REDRAWS, Strategy
from pocketcnn.nas.trial import History, Proposal, finished


@dataclass(frozen=True)
class EvolutionSettings:
    """Sizes for some dozens to hundreds of trials; the paper's population of 100 and sample of 25 are for 20,000."""

    population: int = 20
    sample: int = 5

    def __post_init__(self) -> None:
        if not 1 <= self.sample <= self.population:
            raise UsageError("The sample of evolution must be at least 1 and at most its population.")

    @classmethod
    def fitting(cls, trials: int) -> "EvolutionSettings":
        """Settings for so many trials: at most a third of them form the first population, so that most trials are children."""
        population = max(2, min(cls.population, trials // 3))
        return cls(population, max(1, min(cls.sample, population // 3)))


class Evolution(Strategy):
    """Regularized evolution. A child that was proposed before is mutated again."""

    name = "evolution"

    def __init__(self, space: Space, settings: EvolutionSettings | None = None) -> None:
        super().__init__(space)
        self.settings = settings or EvolutionSettings()

    def propose(self, history: History, seed: int, number: int) -> Proposal:
        rng = self.rng(seed, number)
        population = finished(history)[-self.settings.population :]
        if number < self.settings.population or not population:
            return Proposal(self.new_point(history, rng))
        size = min(self.settings.sample, len(population))
        drawn = rng.choice(len(population), size=size, replace=False)
        parent = max((population[index] for index in drawn), key=lambda trial: trial.reward)
        known = {trial.proposal.key for trial in history}
        child = self.space.mutated(parent.point, rng)
        for _ in range(REDRAWS):
            if key_of(child) not in known:
                break
            child = self.space.mutated(child, rng)
        return Proposal(child)

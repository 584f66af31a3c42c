"""NSGA-II for two goals at once, high accuracy and little of the budget: Optuna's sampler.

"A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II" (Deb et al., 2002).
"""

from typing import Any

from pocketcnn.nas.space import Space
from pocketcnn.nas.strategies.base import Strategy
from pocketcnn.nas.study import optuna_for
from pocketcnn.nas.trial import Finished, History, Proposal, finished

POPULATION = 20
"""Optuna's own 50 are for longer searches."""


class Nsga2(Strategy):
    """Optuna's NSGAIISampler over a history that is told to it trial by trial."""

    name = "nsga2"

    def __init__(self, space: Space, population: int = POPULATION) -> None:
        super().__init__(space)
        self.population = population
        self._told: list[Finished] = []
        self._study: Any = None
        self._optuna = optuna_for("NSGA-II")
        self._distributions = {
            decision.name: self._optuna.distributions.CategoricalDistribution(decision.choices)
            for decision in space.decisions
        }

    @staticmethod
    def fitting(trials: int) -> int:
        """A population that leaves room for three generations at least."""
        return max(2, min(POPULATION, trials // 4))

    def propose(self, history: History, seed: int, number: int) -> Proposal:
        study = self._study_of(finished(history))
        study.sampler = self._sampler(int(self.rng(seed, number).integers(2**31)))
        asked = study.ask(self._distributions)
        study.tell(asked, state=self._optuna.trial.TrialState.FAIL)  # it is told when it is evaluated, as another trial
        return Proposal(self.space.check(asked.params))

    def _sampler(self, seed: int) -> Any:
        return self._optuna.samplers.NSGAIISampler(population_size=self.population, seed=seed)

    def _study_of(self, trials: list[Finished]) -> Any:
        """A study in memory that knows these trials; the sampler gives each its generation as it is told."""
        if self._study is None or trials[: len(self._told)] != self._told:
            self._study = self._optuna.create_study(directions=["maximize", "minimize"], sampler=self._sampler(0))
            self._told = []
        self._study.sampler = self._sampler(0)
        for trial in trials[len(self._told) :]:
            self._study.enqueue_trial(dict(trial.point))
            asked = self._study.ask(self._distributions)
            _ = (
                asked.relative_params
            )  # the sampler looks at a trial, and gives it its generation, when these are asked for
            self._study.tell(asked, [trial.evaluation.accuracy, trial.evaluation.use])
            self._told.append(trial)
        return self._study

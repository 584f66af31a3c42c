"""NSGA-II, multi-objective: high accuracy and low use of the budget. Uses Optuna's sampler.

"A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II" (Deb et al., 2002).
"""

from typing import Any

from pocketcnn.nas.space import Space
from pocketcnn.nas.strategies.base import Strategy
from pocketcnn.nas.study import optuna_for
from pocketcnn.nas.trial import Finished, History, Proposal, finished

POPULATION = 20
"""Optuna's default of 50 is for longer searches."""


class Nsga2(Strategy):
    """Optuna's NSGAIISampler on a history that is replayed trial by trial."""

    name = "nsga2"

    def __init__(self, space: Space, population: int = POPULATION) -> None:
        super().__init__(space)
        self.population = population
        self._added: list[Finished] = []
        self._study: Any = None
        self._optuna = optuna_for("NSGA-II")
        self._distributions = {
            decision.name: self._optuna.distributions.CategoricalDistribution(decision.choices)
            for decision in space.decisions
        }

    @staticmethod
    def fitting(trials: int) -> int:
        """A population that allows at least three generations."""
        return max(2, min(POPULATION, trials // 4))

    def propose(self, history: History, seed: int, number: int) -> Proposal:
        study = self._study_of(finished(history))
        study.sampler = self._sampler(int(self.rng(seed, number).integers(2**31)))
        suggested = study.ask(self._distributions)
        study.tell(
            suggested, state=self._optuna.trial.TrialState.FAIL
        )  # its evaluation is added later as another trial
        return Proposal(self.space.check(suggested.params))

    def _sampler(self, seed: int) -> Any:
        return self._optuna.samplers.NSGAIISampler(population_size=self.population, seed=seed)

    def _study_of(self, trials: list[Finished]) -> Any:
        """An in-memory study with these trials; the sampler assigns each its generation when it is added."""
        if self._study is None or trials[: len(self._added)] != self._added:
            self._study = self._optuna.create_study(directions=["maximize", "minimize"], sampler=self._sampler(0))
            self._added = []
        self._study.sampler = self._sampler(0)
        for trial in trials[len(self._added) :]:
            self._study.enqueue_trial(dict(trial.point))
            suggested = self._study.ask(self._distributions)
            _ = (
                suggested.relative_params
            )  # the sampler looks at a trial, and gives it its generation, when these are suggested for
            self._study.tell(suggested, [trial.evaluation.accuracy, trial.evaluation.use])
            self._added.append(trial)
        return self._study

"""Searches on the predictor, and searches in which each evaluation is a training."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.photograph_search.predictor import Predictor
from benchmarks.photograph_search.setting import OBJECTIVE, Setting, name_of, space
from benchmarks.photograph_search.trainings import bound, madds, recipe_of
from benchmarks.search_table.runs import searched
from pocketcnn.nas.trial import Evaluation, Finished, Proposal


@dataclass(frozen=True)
class Replay:
    """What a search sees: the prediction for its length of training, plus noise as two trainings of a network differ.

    Attributes:
        predictors: by epochs.
        seed: of the noise; a network trained twice in a search is the same.
    """

    predictors: Mapping[int, Predictor]
    setting: Setting
    seed: int

    def __call__(self, proposal: Proposal, _number: int) -> Evaluation:
        name, epochs = name_of(proposal.point), recipe_of(self.setting, proposal.training, 0).epochs
        predictor = self.predictors[epochs]
        rng = np.random.default_rng([self.seed, epochs, zlib.crc32(name.encode())])
        seen = predictor(name) + predictor.noise * float(rng.standard_normal())
        return Evaluation(min(max(seen, 0.0), 1.0), madds(name) / bound())


def replayed(
    strategy: str, evaluations: int, seed: int, predictors: Mapping[int, Predictor], setting: Setting
) -> dict[str, Any]:
    """A search on the predictor: the network that it chose, and what the predictor says of it without noise."""
    trials = searched(strategy, space(), Replay(predictors, setting, seed), OBJECTIVE, evaluations, seed)
    name = chosen(trials)
    return {"network": name, "accuracy": None if name is None else round(predictors[setting.epochs](name), 5)}


def chosen(trials: Sequence[Finished]) -> str | None:
    """The network that a search would hand over: the most accurate one as measured, trained in full, within the budget."""
    kept = [trial for trial in trials if trial.proposal.training >= 1 and trial.evaluation.use <= 1]
    best = max(kept, key=lambda trial: trial.evaluation.accuracy, default=None)
    return None if best is None else name_of(best.point)


def really_searched(
    strategy: str, evaluations: int, seed: int, measure: Callable[[str, float, int], float]
) -> str | None:
    """A search whose evaluations are trainings with its seed: `measure(network, share, seed)` is an accuracy."""

    def evaluate(proposal: Proposal, _number: int) -> Evaluation:
        name = name_of(proposal.point)
        return Evaluation(measure(name, proposal.training, seed), madds(name) / bound())

    return chosen(searched(strategy, space(), evaluate, OBJECTIVE, evaluations, seed))

"""A predictor of accuracy fitted to the table, on which searches with many seeds cost nothing.

"Surrogate NAS Benchmarks: Going Beyond the Limited Search Spaces of Tabular NAS Benchmarks" (Zela et al., 2022): a space that is
too large to train all of its networks is replaced by a regression on a sample, and a search sees its prediction plus the noise
of a training.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.photograph_search.setting import point_of, space
from benchmarks.photograph_search.trainings import madds

FOLDS = 5
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Predictor:
    """The accuracy of any network of the space after one length of training.

    Attributes:
        accuracies: by network, one a seed.
    """

    accuracies: Mapping[str, Sequence[float]]

    @cached_property
    def noise(self) -> float:
        """The standard deviation of an accuracy over the seeds of its training, from networks with two."""
        pairs = [values[:2] for values in self.accuracies.values() if len(values) > 1]
        return math.sqrt(np.mean([(one - other) ** 2 / 2 for one, other in pairs])) if pairs else 0.0

    @cached_property
    def quality(self) -> float:
        """Spearman's correlation of measured accuracies with predictions by regressions that did not see them."""
        inputs, targets = self._data
        folds = KFold(FOLDS, shuffle=True, random_state=0)
        predicted = cross_val_predict(_regression(), inputs, targets, cv=folds)
        return float(spearmanr(predicted, targets).statistic)

    def __call__(self, name: str) -> float:
        """The predicted accuracy, without noise."""
        if name not in self._known:
            self._known[name] = self.many([name])[0]
        return self._known[name]

    def many(self, names: Sequence[str]) -> list[float]:
        """The same for several networks."""
        return [float(each) for each in np.clip(self._fitted.predict(features(names)), 0, 1)]

    @cached_property
    def _known(self) -> dict[str, float]:
        return {}

    @property
    def _data(self) -> tuple[Floats, Floats]:
        names = sorted(self.accuracies)
        return features(names), np.array([np.mean(self.accuracies[name]) for name in names])

    @cached_property
    def _fitted(self) -> Pipeline:
        return _regression().fit(*self._data)


def features(names: Sequence[str]) -> Floats:
    """(N, F): each choice of each decision as 0 or 1, and the logarithm of the multiply-adds."""
    decisions = space().decisions
    rows = []
    for name in names:
        indices = space().indices(point_of(name))
        chosen = [
            float(number == index)
            for index, decision in zip(indices, decisions, strict=True)
            for number in range(len(decision.choices))
        ]
        rows.append([*chosen, math.log10(madds(name)) - 6])
    return np.array(rows)


def _regression() -> Pipeline:
    """Ridge regression, whose strength leave-one-out validation decides.

    With some dozens of networks it ranked unseen ones far better than a Gaussian process with a length scale for each decision,
    and about as well as a linear Gaussian process and a random forest.
    """
    return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 3, 20)))

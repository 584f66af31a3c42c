"""A predictor of accuracy fitted to the table, on which searches with many seeds cost nothing.

"Surrogate NAS Benchmarks: Going Beyond the Limited Search Spaces of Tabular NAS Benchmarks" (Zela et al., 2022): a space that is
too large to train all of its networks is replaced by a regression on a sample, and a search sees its prediction plus the noise
of a training.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.model_selection import KFold, cross_val_predict

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
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", ConvergenceWarning
            )  # a length scale at its bound: the decision has no effect
            predicted = cross_val_predict(_regression(inputs.shape[1]), inputs, targets, cv=folds)
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
    def _fitted(self) -> GaussianProcessRegressor:
        inputs, targets = self._data
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return _regression(inputs.shape[1]).fit(inputs, targets)


def features(names: Sequence[str]) -> Floats:
    """(N, F): each choice as a number from 0 to 1 within its decision, and the logarithm of the multiply-adds."""
    decisions = space().decisions
    rows = []
    for name in names:
        indices = space().indices(point_of(name))
        steps = [index / (len(each.choices) - 1) for index, each in zip(indices, decisions, strict=True)]
        rows.append([*steps, math.log10(madds(name)) - 6])
    return np.array(rows)


def _regression(count: int) -> GaussianProcessRegressor:
    kernel = ConstantKernel() * RBF(np.ones(count), (0.2, 100)) + WhiteKernel(0.1, (1e-3, 1))
    return GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)

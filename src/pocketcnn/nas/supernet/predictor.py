"""Predicts the accuracy of a sub-network from its choices, so that a search can look at many.

"Once-for-All" (Cai et al., 2020), section 3.4, fits a small neural network to 16,000 measured sub-networks. Here there are some
dozens or hundreds, and a Gaussian process with a linear and a smooth part needs no more.
"""

import importlib.util
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketcnn.errors import MissingExtra
from pocketcnn.nas.supernet.plan import SupernetPlan
from pocketcnn.nas.supernet.subnetwork import Subnetwork

FOLDS = 5
FEWEST = 4
"""Samples below which nothing is held out for judging the predictor."""


def encode(plan: SupernetPlan, choice: Subnetwork) -> NDArray[np.float64]:
    """A choice as numbers: for each block that the largest network has, one-hot its kernel and its expansion, all zero where the
    block is left out; and one-hot the size of the images.
    """
    values: list[float] = [float(size == choice.size) for size in plan.sizes]
    for blocks in choice.stages:
        for place in range(plan.depths[-1]):
            block = blocks[place] if place < len(blocks) else None
            values += [float(block is not None and block.kernel == kernel) for kernel in plan.kernels]
            values += [float(block is not None and block.expansion == expansion) for expansion in plan.expansions]
    return np.array(values)


@dataclass(frozen=True)
class AccuracyPredictor:
    """A fitted predictor.

    `correlation` is Spearman's, between what it predicted for samples that it had not seen (cross-validation) and what was
    measured; None where there were too few samples, or all were alike.
    """

    plan: SupernetPlan
    correlation: float | None
    _model: Any

    @classmethod
    def fit(cls, plan: SupernetPlan, samples: Sequence[tuple[Subnetwork, float]], seed: int = 0) -> "AccuracyPredictor":
        """Learn from sub-networks whose accuracies (0 to 1) were measured.

        Raises:
            MissingExtra: scikit-learn is not installed.
        """
        inputs = np.stack([encode(plan, choice) for choice, _ in samples])
        accuracies = np.array([accuracy for _, accuracy in samples])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a part of the kernel that is driven to its bound: it is not needed
            model = _model(seed).fit(inputs, accuracies)
            return cls(plan, _held_out_correlation(inputs, accuracies, seed), model)

    def __call__(self, choices: Sequence[Subnetwork]) -> NDArray[np.float64]:
        """The predicted accuracies (N,)."""
        found: NDArray[np.float64] = self._model.predict(np.stack([encode(self.plan, choice) for choice in choices]))
        return found


def require_predictor() -> None:
    """To be asked before the long training, whose sub-networks are to be predicted.

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise MissingExtra("Predicting the accuracy of sub-networks", "search")


def _model(seed: int) -> Any:
    require_predictor()
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel

    widest = (1e-6, 1e6)
    kernel = ConstantKernel(1.0, widest) * DotProduct(1.0, widest) + ConstantKernel(1.0, widest) * RBF(3.0, widest)
    return GaussianProcessRegressor(
        kernel + WhiteKernel(0.1, widest), normalize_y=True, n_restarts_optimizer=0, random_state=seed
    )


def _held_out_correlation(inputs: NDArray[np.float64], accuracies: NDArray[np.float64], seed: int) -> float | None:
    if len(accuracies) < FEWEST or np.ptp(accuracies) == 0:
        return None
    from sklearn.model_selection import KFold, cross_val_predict

    folds = KFold(min(FOLDS, len(accuracies) // 2), shuffle=True, random_state=seed)
    return rank_correlation(cross_val_predict(_model(seed), inputs, accuracies, cv=folds), accuracies)


def rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """Spearman's rank correlation, -1 to 1; None where all values of one are alike.

    Needs scipy, which scikit-learn brings along.
    """
    from scipy.stats import spearmanr

    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(spearmanr(one, other).statistic)

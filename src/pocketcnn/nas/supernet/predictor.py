"""Predicts the accuracy of a sub-network from its choices, so that a search can evaluate many.

"Once-for-All" (Cai et al., 2020), section 3.4, trains a small neural network on 16,000 measured sub-networks. Here there are
some dozens or hundreds, for which a Gaussian process with a linear and a smooth kernel is enough.
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
MIN_SAMPLES = 4
"""With fewer samples there is no cross-validation."""


def encode(plan: SupernetPlan, choice: Subnetwork) -> NDArray[np.float64]:
    """Encode a choice as a vector: one-hot image size; for each block of the largest network, one-hot kernel and expansion,
    all zero if the block is left out.
    """
    values: list[float] = [float(size == choice.size) for size in plan.sizes]
    for blocks in choice.stages:
        for index in range(plan.depths[-1]):
            block = blocks[index] if index < len(blocks) else None
            values += [float(block is not None and block.kernel == kernel) for kernel in plan.kernels]
            values += [float(block is not None and block.expansion == expansion) for expansion in plan.expansions]
    return np.array(values)


@dataclass(frozen=True)
class AccuracyPredictor:
    """A fitted predictor.

    `correlation` is Spearman's rank correlation between predictions in cross-validation and measured accuracies; None with
    too few samples or equal values.
    """

    plan: SupernetPlan
    correlation: float | None
    _model: Any

    @classmethod
    def fit(cls, plan: SupernetPlan, samples: Sequence[tuple[Subnetwork, float]], seed: int = 0) -> "AccuracyPredictor":
        """Fit to sub-networks with measured accuracies (0 to 1).

        Raises:
            MissingExtra: scikit-learn is not installed.
        """
        inputs = np.stack([encode(plan, choice) for choice, _ in samples])
        accuracies = np.array([accuracy for _, accuracy in samples])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about a kernel parameter at its bound, which is then not needed
            model = _model(seed).fit(inputs, accuracies)
            return cls(plan, _held_out_correlation(inputs, accuracies, seed), model)

    def __call__(self, choices: Sequence[Subnetwork]) -> NDArray[np.float64]:
        """The predicted accuracies (N,)."""
        found: NDArray[np.float64] = self._model.predict(np.stack([encode(self.plan, choice) for choice in choices]))
        return found


def require_predictor() -> None:
    """Check the requirements before a long supernet training.

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
    if len(accuracies) < MIN_SAMPLES or np.ptp(accuracies) == 0:
        return None
    from sklearn.model_selection import KFold, cross_val_predict

    folds = KFold(min(FOLDS, len(accuracies) // 2), shuffle=True, random_state=seed)
    return rank_correlation(cross_val_predict(_model(seed), inputs, accuracies, cv=folds), accuracies)


def rank_correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """Spearman's rank correlation, -1 to 1; None if one side has equal values only.

    Needs scipy, a dependency of scikit-learn.
    """
    from scipy.stats import spearmanr

    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(spearmanr(one, other).statistic)

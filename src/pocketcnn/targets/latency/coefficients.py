"""Non-negative coefficients (seconds per unit of work), by robust least squares of the relative error."""

from collections.abc import Mapping, Sequence

import numpy as np

from pocketcnn.errors import MissingExtra
from pocketcnn.targets.latency.features import Floats

RIDGE = 1e-3
OUTLIER = 0.15
"""Relative errors well above this are down-weighted (iteratively reweighted least squares)."""

ROUNDS = 4


def fit_coefficients(rows: Sequence[Mapping[str, float]], times: Floats) -> dict[str, float]:
    """Fit seconds per unit of each kind of work.

    Args:
        rows: for each network, the amount of each kind of work.
        times: seconds of each network, (networks,).

    Raises:
        MissingExtra: scikit-learn is not installed.
    """
    try:
        from sklearn.linear_model import LinearRegression
    except ImportError as error:
        raise MissingExtra("Predicting latencies", "latency") from error
    names = sorted({name for row in rows for name in row})
    column = {name: index for index, name in enumerate(names)}
    amounts = np.zeros((len(rows), len(names)))
    for index, row in enumerate(rows):
        for name, amount in row.items():
            amounts[index, column[name]] = amount / times[index]
    scale = np.maximum(np.abs(amounts).max(0), 1e-30)
    amounts /= scale
    ridge = RIDGE * np.eye(len(names))
    precision_weights, solution = np.ones(len(rows)), np.zeros(len(names))
    for _ in range(ROUNDS):
        design = np.vstack([amounts * precision_weights[:, None], ridge])
        answers = np.concatenate([precision_weights, np.zeros(len(names))])
        solution = LinearRegression(positive=True, fit_intercept=False).fit(design, answers).coef_
        precision_weights = 1 / np.sqrt(1 + ((amounts @ solution - 1) / OUTLIER) ** 2)
    return dict(zip(names, map(float, solution / scale), strict=True))

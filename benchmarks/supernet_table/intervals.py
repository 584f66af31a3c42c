"""Intervals of rank correlations, by resampling the networks (Efron, Bootstrap methods, Annals of Statistics 1979)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

RESAMPLES, SEED = 4000, 0

Rows = Sequence[Sequence[float]]
"""A figure of each network, one row a seed."""


@dataclass(frozen=True)
class Interval:
    """The 95 % interval of a figure."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:.2f} to {self.high:.2f}"


def correlation(rows: Rows, truth: Sequence[float]) -> Interval:
    """The interval of Spearman's correlation of `rows` with `truth`, the mean over seeds."""
    return _interval(_resampled(rows, truth))


def difference(rows: Rows, others: Rows, truth: Sequence[float]) -> Interval:
    """The interval of how much better `rows` rank than `others`, on the same resampled networks."""
    return _interval(_resampled(rows, truth) - _resampled(others, truth))


def _resampled(rows: Rows, truth: Sequence[float]) -> NDArray[np.float64]:
    """Spearman's correlation on each set of resampled networks (RESAMPLES,)."""
    drawn = np.random.default_rng(SEED).integers(0, len(truth), (RESAMPLES, len(truth)))
    reference = _standardized(np.asarray(truth)[drawn])
    each = [(_standardized(np.asarray(row)[drawn]) * reference).mean(axis=1) for row in rows]
    return np.mean(each, axis=0)


def _standardized(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The ranks along the last axis, with mean 0 and variance 1 (0 where all are equal)."""
    ranks = rankdata(values, axis=1)
    ranks = ranks - ranks.mean(axis=1, keepdims=True)
    deviation = ranks.std(axis=1, keepdims=True)
    return np.divide(ranks, deviation, out=np.zeros_like(ranks), where=deviation > 0)


def _interval(values: NDArray[np.float64]) -> Interval:
    low, high = np.quantile(values, (0.025, 0.975))
    return Interval(float(low), float(high))

"""Statistics of repeated timings: medians with distribution-free confidence intervals."""

from math import ceil, floor, sqrt

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float64]

_Z95 = 1.96  # 97.5 % quantile of the normal distribution, for a two-sided 95 % interval


def median_interval(ordered: Samples) -> tuple[float, float]:
    """The 95 % confidence interval of the median, from samples in increasing order.

    Order statistics with the normal approximation of the binomial ranks: J.-Y. Le Boudec, "Performance Evaluation
    of Computer and Communication Systems" (2010), chapter 2; recommended for timings, which are seldom normally
    distributed, by T. Hoefler and R. Belli, "Scientific Benchmarking of Parallel Computing Systems" (SC 2015).
    With fewer than 6 samples no such interval exists; their range is returned.
    """
    count = len(ordered)
    low = floor((count - _Z95 * sqrt(count)) / 2)
    high = ceil(1 + (count + _Z95 * sqrt(count)) / 2)
    return float(ordered[max(low, 1) - 1]), float(ordered[min(high, count) - 1])


def ratio_interval(
    numerator: Samples, denominator: Samples, *, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The 95 % interval of ``median(numerator) / median(denominator)`` for samples taken in pairs.

    Percentile bootstrap over pairs (B. Efron and R. Tibshirani, "An Introduction to the Bootstrap" (1993),
    chapter 13): a disturbance that slows both samples of a pair stays paired in each resample.
    """
    random = np.random.default_rng(seed)
    ratios = np.empty(resamples)
    for index in range(resamples):
        rows = random.integers(len(numerator), size=len(numerator))
        ratios[index] = np.median(numerator[rows]) / np.median(denominator[rows])
    low, high = np.percentile(ratios, [2.5, 97.5])
    return float(low), float(high)

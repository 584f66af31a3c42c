"""Claims about accuracy, tested over seeds: one network drawn once says more of a processor's roundings than of the code."""

from collections.abc import Callable
from statistics import mean, stdev

from scipy import stats

CONFIDENCE = 0.95


def lower_bound(figure: Callable[[int], float], seeds: int = 8) -> float:
    """What the mean of `figure` over all seeds exceeds with 95 % confidence, by Student's t from that many seeds."""
    found = [figure(seed) for seed in range(seeds)]
    return mean(found) - float(stats.t.ppf(CONFIDENCE, seeds - 1)) * stdev(found) / seeds**0.5

"""Means with their intervals, and whether one method is better than another."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean, stdev

from scipy.stats import mannwhitneyu, t, wilcoxon


@dataclass(frozen=True)
class Interval:
    """A mean with the ends of its 95 % interval (Student's t)."""

    mean: float
    low: float
    high: float


def interval(values: Sequence[float]) -> Interval:
    """The mean of some values; of one alone without an interval."""
    middle = mean(values)
    if len(values) < 2:
        return Interval(middle, middle, middle)
    half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / sqrt(len(values))
    return Interval(middle, middle - half, middle + half)


@dataclass(frozen=True)
class Comparison:
    """How `ours` does beside `control`, seed by seed on the same problems.

    Attributes:
        wins, ties: seeds at which it is better or the same, of `seeds`.
        paired: p of Wilcoxon's signed-rank test, unpaired: of Mann and Whitney's, both for ours being better.
    """

    seeds: int
    wins: int
    ties: int
    paired: float
    unpaired: float


def compared(ours: Sequence[float], control: Sequence[float]) -> Comparison:
    """Both lists have a value a seed, in the same order."""
    pairs = list(zip(ours, control, strict=True))
    all_same = all(a == b for a, b in pairs)
    paired = 1.0 if all_same else float(wilcoxon(ours, control, alternative="greater", zero_method="zsplit").pvalue)
    return Comparison(
        seeds=len(pairs),
        wins=sum(a > b for a, b in pairs),
        ties=sum(a == b for a, b in pairs),
        paired=paired,
        unpaired=float(mannwhitneyu(ours, control, alternative="greater").pvalue),
    )

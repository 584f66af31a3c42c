"""The mean of a difference over a few seeds, and how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import mean, stdev


@dataclass(frozen=True)
class Difference:
    """Mean of paired differences with its 95 % interval (Student's t)."""

    mean: float
    low: float
    high: float


T_95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
"""Two-sided 95 % quantiles of Student's t, by degrees of freedom."""


def paired(with_teacher: Sequence[float], without: Sequence[float]) -> Difference:
    """`with_teacher` minus `without`, seed by seed; at least two and at most ten."""
    differences = [one - other for one, other in zip(with_teacher, without, strict=True)]
    middle = mean(differences)
    half = T_95[len(differences) - 1] * stdev(differences) / sqrt(len(differences))
    return Difference(middle, middle - half, middle + half)

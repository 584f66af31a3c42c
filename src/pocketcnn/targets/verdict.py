"""Figures with their spread, and the verdict on whether they keep the limits of a budget."""

from collections.abc import Sequence
from dataclasses import dataclass

from pocketcnn.targets import units
from pocketcnn.targets.limits import Limit
from pocketcnn.targets.quantities import format_quantity


@dataclass(frozen=True)
class Figure:
    """A figure in base units with its spread, ``low <= value <= high``, and how it was come by.

    For a latency, `value` is the median, `low` and `high` the 10th and 90th percentile.
    A figure that is counted has no spread (`Figure.counted`), nor has one that is `estimated`: a time on a device that is
    not here, which `how` says too.
    """

    value: float
    low: float
    high: float
    how: str
    estimated: bool = False

    @classmethod
    def counted(cls, value: float, how: str) -> "Figure":
        """A figure without spread, such as the bytes of a file."""
        return cls(value, value, value, how)


@dataclass(frozen=True)
class Verdict:
    """Whether `figure` keeps `limit`. `miss` is value / bound: 1.25 is 25 % too much, 0.5 is half used."""

    limit: Limit
    figure: Figure
    kept: bool
    ratio: float

    def __str__(self) -> str:
        """``size 61.2 kB, limit 60 kB: missed by 2 %``."""
        quantity, target = self.limit.quantity, self.limit.target
        subject = f"{quantity}@{target}" if target else str(quantity)
        value, bound = (format_quantity(quantity, number) for number in (self.figure.value, self.limit.bound))
        spread = f" (90th percentile {format_quantity(quantity, self.figure.high)})" if target else ""
        if self.figure.estimated:
            spread = " (an estimate)"
        outcome = "kept" if self.kept else f"missed by {units.format_percent(self.ratio - 1)}"
        return f"{subject} {value}{spread}, limit {bound}: {outcome}"


def judge(limit: Limit, figure: Figure) -> Verdict:
    """The verdict of one absolute limit. A latency is kept by its median; its spread is shown, not judged.

    Raises:
        ValueError: the limit is relative; `Budget.resolve` makes it absolute.
    """
    if limit.relative:
        raise ValueError(f"{limit} is relative to a parent: resolve the budget before checking figures against it")
    return Verdict(limit, figure, kept=figure.value <= limit.bound, ratio=figure.value / limit.bound)


def closest_miss(candidates: Sequence[Sequence[Verdict]]) -> int:
    """The index of the candidate whose worst limit is missed by the smallest ratio (the first of equals).

    Raises:
        ValueError: there is no candidate, or one without verdicts.
    """
    return min(range(len(candidates)), key=lambda index: max(verdict.ratio for verdict in candidates[index]))

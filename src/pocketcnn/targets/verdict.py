"""Figures with their spread, and the verdict on whether they meet the limits of a budget."""

from collections.abc import Sequence
from dataclasses import dataclass

from pocketcnn.targets import units
from pocketcnn.targets.limits import Limit
from pocketcnn.targets.quantities import format_quantity


@dataclass(frozen=True)
class Figure:
    """A figure in base units with its spread, ``low <= value <= high``, and how it was obtained.

    For a latency, `value` is the median, and `low` and `high` are the 10th and 90th percentile. A counted figure
    (`Figure.counted`) has no spread. Neither has an `estimated` one: a latency on a device that is not on this machine.
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
    """Whether `figure` meets `limit`. `ratio` is value / bound: 1.25 exceeds the limit by 25 %, 0.5 uses half of it."""

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
    """The verdict on one absolute limit. A latency is judged by its median; its spread is only shown.

    Raises:
        ValueError: the limit is relative; `Budget.resolve` makes it absolute.
    """
    if limit.relative:
        raise ValueError(f"{limit} is relative to a parent: resolve the budget before checking figures against it")
    return Verdict(limit, figure, kept=figure.value <= limit.bound, ratio=figure.value / limit.bound)


def closest_miss(candidates: Sequence[Sequence[Verdict]]) -> int:
    """The index of the candidate whose worst ratio to a limit is smallest (the first of equals).

    Raises:
        ValueError: there are no candidates, or one has no verdicts.
    """
    return min(range(len(candidates)), key=lambda index: max(verdict.ratio for verdict in candidates[index]))

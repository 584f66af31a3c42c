"""Rank correlations with training alone, and what can be reached at most."""

from collections.abc import Sequence
from itertools import combinations
from statistics import mean

from scipy.stats import kendalltau, spearmanr

from benchmarks.supernet_table.intervals import Rows


def correlations(rows: Rows, truth: Sequence[float]) -> list[tuple[float, float]]:
    """Spearman's and Kendall's rank correlation with the truth, for each seed."""
    return [(float(spearmanr(row, truth).statistic), float(kendalltau(row, truth).statistic)) for row in rows]


def ceiling(alone: Rows) -> list[tuple[float, float]]:
    """The same of two seeds of training alone with each other, for all pairs."""
    return [pair for one, other in combinations(alone, 2) for pair in correlations([one], other)]


def of_ceiling(rows: Rows, alone: Rows, own: Sequence[int | None]) -> float | None:
    """The mean of Spearman's correlations with single trainings of other seeds, as a share of the ceiling.

    The mean over seeds of training alone, which `correlations` takes as the truth, has less noise than one training, so that a
    ranking may correlate better with it than two trainings with each other. This share compares like with like.

    Args:
        rows: a figure of each network, one row a seed.
        alone: the accuracies of training alone, one row a seed.
        own: for each of `rows` the place of its seed in `alone`, whose images it shares; None if it depends on no seed.

    Returns:
        The share; None if there is no ceiling above 0, or no other seed.
    """
    others = [
        float(spearmanr(row, other).statistic)
        for row, place in zip(rows, own, strict=True)
        for number, other in enumerate(alone)
        if number != place
    ]
    top = mean(spearman for spearman, _ in ceiling(alone)) if len(alone) > 1 else 0.0
    return mean(others) / top if others and top > 0 else None

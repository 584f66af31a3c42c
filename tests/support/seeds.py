"""Claims about accuracy, tested over seeds: one network drawn once says more of a processor's roundings than of the code."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


def lower_bound(figures: Sequence[float] | np.ndarray) -> float:
    """What the mean over all seeds exceeds with 95 % confidence, by Student's t, given the figures of some of them."""
    t = float(stats.t.ppf(CONFIDENCE, len(figures) - 1))
    return float(np.mean(figures) - t * np.std(figures, ddof=1) / len(figures) ** 0.5)

"""How good predictions are: errors, and the order in which they put networks."""

from collections.abc import Sequence

import numpy as np

WITHIN = 0.10


def judged(predicted: Sequence[float], measured: Sequence[float]) -> dict[str, float]:
    """Mean absolute relative error, share within 10 %, the largest error, and Spearman's rank correlation."""
    ratios = np.array(predicted) / np.array(measured) - 1
    return {
        "networks": len(ratios),
        "mean_error": float(np.abs(ratios).mean()),
        "median_bias": float(np.median(ratios)),
        "within_10_percent": float((np.abs(ratios) <= WITHIN).mean()),
        "largest_error": float(np.abs(ratios).max()),
        "rank_correlation": float(np.corrcoef(_ranks(predicted), _ranks(measured))[0, 1]) if len(ratios) > 1 else 1.0,
    }


def _ranks(values: Sequence[float]) -> np.ndarray:
    return np.argsort(np.argsort(values)).astype(float)

"""Entropy calibration: the range whose quantized histogram has the least KL divergence from the original one.

Migacz, "8-bit Inference with TensorRT" (GTC 2017): values beyond a threshold saturate, and the threshold with the least
Kullback-Leibler divergence is chosen. There the range is symmetric; here it is an affine range that includes zero and is
scaled down as a whole.
"""

import numpy as np
from numpy.typing import NDArray

Histogram = NDArray[np.float64]

BINS = 2048
CANDIDATES = 96
"""How many scaled-down ranges are tried."""
UNSEEN = 1e-6
"""Probability assigned to bins that quantization leaves empty, so that the divergence stays finite."""


def entropy_range(sample: NDArray[np.float32], low: float, high: float, levels: int) -> tuple[float, float]:
    """The part of low … high that has the least divergence when `sample` is stored in `levels` integers."""
    if not high > low or not len(sample):
        return low, high
    counts, edges = np.histogram(sample, bins=BINS, range=(low, high))
    histogram = counts.astype(np.float64)
    best, least = (low, high), np.inf
    for share in np.linspace(1.0, min(1.0, max(levels / BINS, 0.1)), CANDIDATES):
        start, stop = np.searchsorted(edges, [low * share, high * share])
        start, stop = max(0, int(start) - (edges[start] > low * share)), max(int(stop), int(start) + 1)
        divergence = _divergence(histogram, int(start), min(stop, BINS), levels)
        if divergence < least:
            best, least = (float(low * share), float(high * share)), divergence
    return best


def _divergence(histogram: Histogram, start: int, stop: int, levels: int) -> float:
    """KL divergence, in nats, of the stored histogram when only the bins start … stop - 1 are representable."""
    kept = histogram[start:stop]
    truth = kept.copy()
    truth[0] += histogram[:start].sum()
    truth[-1] += histogram[stop:].sum()
    seen = truth > 0
    level = np.arange(len(kept)) * levels // len(kept) if len(kept) > levels else np.arange(len(kept))
    mass, bins = np.bincount(level, kept), np.bincount(level, seen)
    stored = np.where(seen, (mass / np.maximum(bins, 1))[level], 0.0)
    truth, stored = truth / truth.sum(), stored / max(stored.sum(), np.finfo(np.float64).tiny)
    stored = (1 - UNSEEN) * stored + UNSEEN / seen.sum() * seen
    return float((truth[seen] * np.log(truth[seen] / stored[seen])).sum())

"""Sparse Gaussian processes over kernel coordinates, one per kernel family.

C. E. Rasmussen and C. K. I. Williams, "Gaussian Processes for Machine Learning" (2006): section 8.1 for the reduction to
landmarks (Nyström), section 5.4 for the choice of amplitude and noise by the marginal likelihood.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pocketcnn.targets.latency.features import Floats, family, position_features
from pocketcnn.targets.latency.kernels import Kernel

LENGTH = 4.0
"""Length scale in `position_features`, in doublings of a size."""

LANDMARKS = 320
"""Largest number of landmarks per family."""

AMPLITUDES = (0.1, 0.2, 0.4, 0.8)
"""Candidate standard deviations of the log-residuals."""

NOISES = (0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2)
"""Candidate relative errors of a measurement."""


def covariance(first: Floats, second: Floats) -> Floats:
    """The covariance of two sets of coordinates, at most 1: Matérn 3/2 for short range, a wide Gaussian for long range."""
    squares = (first**2).sum(1)[:, None] + (second**2).sum(1)[None] - 2 * first @ second.T
    squares = np.maximum(squares, 0)
    near = np.sqrt(3 * squares) / LENGTH
    found: Floats = 0.5 * (1 + near) * np.exp(-near) + 0.5 * np.exp(-squares / (2 * (2.5 * LENGTH) ** 2))
    return found


@dataclass(frozen=True)
class Family:
    """The landmarks of a family, the inverse Cholesky factor of their covariance, and the family's columns among all."""

    landmarks: Floats
    inverse: Floats
    columns: slice

    def coordinates(self, positions: Floats) -> Floats:
        """(positions, landmarks): rows whose inner products are the covariances."""
        return covariance(positions, self.landmarks) @ self.inverse.T


def families_of(kernels: Sequence[Kernel]) -> tuple[dict[str, Family], Any]:
    """The families of some kernels, and the kernels' coordinates as a sparse matrix (kernels, columns of all families)."""
    from scipy.sparse import csr_matrix

    members: dict[str, list[int]] = defaultdict(list)
    for index, kernel in enumerate(kernels):
        members[family(kernel)].append(index)
    families: dict[str, Family] = {}
    values, rows, columns, width = [], [], [], 0
    for name, indices in sorted(members.items()):
        positions = np.array([position_features(kernels[index]) for index in indices])
        found = family_at(positions, width)
        block = found.coordinates(positions)
        values.append(block.ravel())
        rows.append(np.repeat(indices, block.shape[1]))
        columns.append(np.tile(np.arange(width, width + block.shape[1]), len(indices)))
        families[name] = found
        width += block.shape[1]
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return families, csr_matrix(entries, shape=(len(kernels), width))


def family_at(positions: Floats, first: int) -> Family:
    """A family for some `positions` (n, features); its columns begin at `first`."""
    from sklearn.cluster import kmeans_plusplus

    landmarks = np.unique(positions, axis=0)
    if len(landmarks) > LANDMARKS:
        landmarks, _ = kmeans_plusplus(landmarks, LANDMARKS, random_state=0)
    among = covariance(landmarks, landmarks) + 1e-6 * np.eye(len(landmarks))
    inverse = np.asarray(np.linalg.inv(np.linalg.cholesky(among)), np.float64)
    return Family(landmarks, inverse, slice(first, first + len(landmarks)))


def maximum_likelihood(seen: Floats, target: Floats, precision_weights: Floats) -> tuple[float, float]:
    """The (amplitude, noise) with the highest marginal likelihood.

    Args:
        seen: design matrix (measurements, columns).
        target: observed log-residuals (measurements,).
        precision_weights: weights of the measurements, (measurements,): they divide the noise variance.
    """
    scaled = seen * np.sqrt(precision_weights)[:, None]
    values, vectors = np.linalg.eigh(scaled @ scaled.T)
    squares = (vectors.T @ (target * np.sqrt(precision_weights))) ** 2

    def evidence(pair: tuple[float, float]) -> float:
        variances = pair[0] ** 2 * np.maximum(values, 0) + pair[1] ** 2
        return float(-np.sum(squares / variances) - np.sum(np.log(variances)))

    return max(((amplitude, noise) for amplitude in AMPLITUDES for noise in NOISES), key=evidence)

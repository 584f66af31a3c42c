"""Regression of kernel latencies from measured networks, whose latency is a sum over their kernels.

A kernel cannot be timed in isolation: alone it pays for the call, the input and often a layout change, and finds its weights
in the cache. So networks of some kernels are timed, and a function of a kernel is fitted whose sums are those times:

    time(network) = (network work · c + sum over kernels of (work · c) · exp(g(kernel))) · exp(h(network))

The coefficients c are non-negative, by least squares (`coefficients`). g is the log-residual of a kernel relative to its
family's coefficients. It is a Gaussian process (`residuals`), which can be conditioned on sums and gives a variance. h is a
smaller one for the effect of a network's kernels on each other's caches. All are fitted robustly: disturbed measurements get
lower weights.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import numpy as np

from pocketcnn.errors import UsageError
from pocketcnn.targets.latency.coefficients import fit_coefficients
from pocketcnn.targets.latency.features import (
    Floats,
    coarse_work,
    family,
    has_coefficients,
    network_features,
    network_work,
    position_features,
    work,
)
from pocketcnn.targets.latency.kernels import Kernel
from pocketcnn.targets.latency.residuals import Family, covariance, families_of, family_at, maximum_likelihood

Counts = Mapping[Kernel, int]
"""The kernels of a network, and how often each occurs."""

MIN_MEASUREMENTS = 20
ROUNDS = 4
"""Rounds of Gauss-Newton with outlier down-weighting."""

LATE_ERRORS, EARLY_ERRORS = 1.0, 3.0
"""Noise standard errors from which measurements are down-weighted; lower for measurements that are too slow, because
disturbances only add time."""

FAMILIAR = 0.5
"""Share of a kernel's variance that the measured kernels of its family explain, from which it counts as known."""

MIN_SECONDS = 1e-9
"""A lower bound on seconds, so that logarithms stay finite."""

CONTEXT = 0.25
"""Standard deviation of the network residual h, relative to that of the kernel residual g."""


@dataclass(frozen=True)
class KernelTimes:
    """The fitted model. `time` predicts a kernel, `total` a network, and `error` the relative error of `total`.

    Attributes:
        coefficients: seconds per unit of work, by name.
        families: the Gaussian process of each kernel family.
        weights: of the Gaussian processes, (columns,).
        observed: (measurements, columns), the design matrix.
        factor: Cholesky factor of the measurements' covariance, lower.
        amplitude: standard deviation of the log-residuals.
        noise: relative error of a measurement.
        networks: the Gaussian process of whole networks.
    """

    coefficients: Mapping[str, float]
    families: Mapping[str, Family] = field(default_factory=dict)
    weights: Floats = field(default_factory=lambda: np.zeros(0))
    observed: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    factor: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    amplitude: float = 0.0
    noise: float = 0.0
    networks: Family | None = None

    _bases: dict[Kernel, float] = field(default_factory=dict, repr=False, compare=False)
    _times: dict[Kernel, float] = field(default_factory=dict, repr=False, compare=False)
    _landmark_weights: dict[str, Floats] = field(default_factory=dict, repr=False, compare=False)

    def base(self, kernel: Kernel) -> float:
        """Seconds of one kernel by its family's coefficients."""
        if kernel not in self._bases:
            amounts = work(kernel) if has_coefficients(kernel, self.coefficients) else coarse_work(kernel)
            seconds = sum(self.coefficients.get(name, 0.0) * amount for name, amount in amounts.items())
            self._bases[kernel] = max(MIN_SECONDS, seconds)
        return self._bases[kernel]

    def time(self, kernel: Kernel) -> float:
        """Seconds of one kernel."""
        if kernel not in self._times:
            name = family(kernel)
            share = self._residual(name, position_features(kernel)) if name in self.families else 0.0
            self._times[kernel] = self.base(kernel) * float(np.exp(share))
        return self._times[kernel]

    def _residual(self, name: str, features: Floats) -> float:
        """The log-residual at some coordinates: landmark weights times their covariance."""
        group = self.families[name]
        if name not in self._landmark_weights:
            self._landmark_weights[name] = group.inverse.T @ self.weights[group.columns]
        return float(covariance(features[None], group.landmarks)[0] @ self._landmark_weights[name])

    def overhead(self, kernels: Counts) -> float:
        """Seconds of the network as a whole, outside its kernels."""
        return sum(self.coefficients.get(name, 0.0) * amount for name, amount in network_work(kernels).items())

    def context(self, kernels: Counts) -> float:
        """The factor by which a network differs from the sum of its kernels and overhead."""
        if self.networks is None:
            return 1.0
        return float(np.exp(self._context_coordinates(kernels) @ self.weights[self.networks.columns]))

    def _context_coordinates(self, kernels: Counts) -> Floats:
        assert self.networks is not None
        about = self.overhead(kernels) + sum(count * self.base(kernel) for kernel, count in kernels.items())
        found: Floats = CONTEXT * self.networks.coordinates(network_features(kernels, about)[None])[0]
        return found

    def isolated_total(self, kernels: Counts) -> float:
        """Seconds of a network's kernels and overhead, without their effect on each other."""
        return self.overhead(kernels) + sum(count * self.time(kernel) for kernel, count in kernels.items())

    def total(self, kernels: Counts) -> float:
        """Seconds of a network."""
        return self.isolated_total(kernels) * self.context(kernels)

    def error(self, kernels: Counts) -> float:
        """The relative standard error of `total`: of the fit, of unmeasured regions, and of the noise."""
        from scipy.linalg import solve_triangular

        total, seen, blind = self.isolated_total(kernels), np.zeros(len(self.weights)), 0.0
        if self.networks is not None:
            seen[self.networks.columns] = self._context_coordinates(kernels)
        for kernel, count in kernels.items():
            share, group = count * self.time(kernel) / total, self.families.get(family(kernel))
            if group is None:
                blind += share**2
                continue
            coordinates = self._coordinates(group, kernel)
            seen[group.columns] += share * coordinates
            blind += (share * self.amplitude) ** 2 * max(0.0, 1 - float(coordinates @ coordinates))
        known = solve_triangular(self.factor, self.observed @ seen, lower=True) * self.amplitude
        variance = self.amplitude**2 * max(0.0, float(seen @ seen - known @ known))
        return sqrt(variance + blind + self.noise**2)

    def is_familiar(self, kernel: Kernel) -> bool:
        """Whether the measured networks have kernels like this one: of its family and near its sizes."""
        group = self.families.get(family(kernel))
        if group is None:
            return False
        coordinates = self._coordinates(group, kernel)
        return float(coordinates @ coordinates) >= FAMILIAR

    def _coordinates(self, group: Family, kernel: Kernel) -> Floats:
        found: Floats = group.coordinates(position_features(kernel)[None])[0]
        return found


def fit(networks: Sequence[Counts], seconds: Sequence[float]) -> KernelTimes:
    """Fit the model to the latencies of `networks`; deterministic.

    Args:
        networks: the kernels of each measured network.
        seconds: its latency.

    Raises:
        MissingExtra: scikit-learn is not installed.
        UsageError: there are too few measurements.
    """
    if len(networks) < MIN_MEASUREMENTS:
        raise UsageError(
            f"{len(networks)} measurements are too few for a predictor: at least {MIN_MEASUREMENTS} are needed. Profile longer."
        )
    times = np.asarray(seconds, np.float64)
    coarse = fit_coefficients([_summed(coarse_work, kernels) for kernels in networks], times)
    coefficients = fit_coefficients([_summed(work, kernels) for kernels in networks], times)
    return _with_residuals(networks, times, KernelTimes({**coarse, **coefficients}))


def _summed(amounts_of: Callable[[Kernel], Mapping[str, float]], kernels: Counts) -> Mapping[str, float]:
    """The amounts of work of a network."""
    amounts: dict[str, float] = defaultdict(float, network_work(kernels))
    for kernel, count in kernels.items():
        for name, amount in amounts_of(kernel).items():
            amounts[name] += count * amount
    return amounts


def _with_residuals(networks: Sequence[Counts], times: Floats, start: KernelTimes) -> KernelTimes:
    """Fit the residuals by Gauss-Newton on the logarithm of the times."""
    from scipy.linalg import cho_solve

    known = list(dict.fromkeys(kernel for kernels in networks for kernel in kernels))
    families, coordinates = families_of(known)
    base = np.array([start.base(kernel) for kernel in known])
    whole = np.array([start.overhead(kernels) for kernels in networks])
    counts = _counts(networks, known)
    about = counts @ base + whole
    kernel_columns = coordinates.shape[1]
    positions = np.array([network_features(kernels, time) for kernels, time in zip(networks, about, strict=True)])
    contexts = family_at(positions, kernel_columns)
    context = CONTEXT * contexts.coordinates(positions)
    weights, precision_weights = np.zeros(kernel_columns + context.shape[1]), np.ones(len(times))
    amplitude, noise = 0.0, 0.0
    seen: Floats = np.zeros((0, 0))
    factor: Floats = np.zeros((0, 0))
    for turn in range(ROUNDS):
        parts = counts.multiply(base * np.exp(coordinates @ weights[:kernel_columns])).tocsr()
        totals = np.asarray(parts.sum(1)).ravel() + whole
        shares = (parts.multiply(1 / totals[:, None]).tocsr() @ coordinates).toarray()
        seen = np.hstack([shares, context])
        target = np.log(times) - np.log(totals) + shares @ weights[:kernel_columns]
        if turn in (0, 2):  # before and after outliers are down-weighted
            amplitude, noise = maximum_likelihood(seen, target, precision_weights)
        factor = np.asarray(
            np.linalg.cholesky(amplitude**2 * seen @ seen.T + np.diag(noise**2 / precision_weights)), np.float64
        )
        weights = amplitude**2 * seen.T @ cho_solve((factor, True), target)
        errors = target - seen @ weights
        precision_weights = 1 / (1 + (errors / (np.where(errors > 0, LATE_ERRORS, EARLY_ERRORS) * noise)) ** 2)
    return KernelTimes(start.coefficients, families, weights, seen, factor, amplitude, noise, contexts)


def _counts(networks: Sequence[Counts], known: Sequence[Kernel]) -> Any:
    """How often each kernel occurs in each network, as a sparse matrix (networks, kernels)."""
    from scipy.sparse import csr_matrix

    column = {kernel: index for index, kernel in enumerate(known)}
    entries = [
        (count, row, column[kernel]) for row, kernels in enumerate(networks) for kernel, count in kernels.items()
    ]
    values, rows, columns = zip(*entries, strict=True)
    return csr_matrix((np.array(values, np.float64), (rows, columns)), shape=(len(networks), len(known)))

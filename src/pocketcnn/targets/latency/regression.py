"""The time of a kernel as a function, found from times of networks that are sums of kernels.

A kernel alone cannot be timed as it runs in a network: alone it pays for the call, for taking its input in, often for a
change of layout, and finds its weights in the cache. So networks of some kernels are timed, and a function of one kernel is
found whose sums are those times:

    time(network) = network work · rates + sum over kernels of (work · rates) · exp(g(place))

Rates are not negative, by least squares. g, the share by which a kernel misses its family's rates, is a Gaussian process
(Rasmussen and Williams, "Gaussian Processes for Machine Learning", section 2.7 on linear functionals of one), which is
conditioned on sums as well as on values and says how certain it is; sparse by landmarks (Nyström, section 8.1).
Both fits are robust: a measurement that something disturbed counts less (iteratively reweighted least squares).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from pocketcnn.errors import MissingExtra, UsageError
from pocketcnn.targets.latency.features import Floats, family, network_work, place, work
from pocketcnn.targets.latency.kernels import Kernel

Counts = Mapping[Kernel, int]
"""The kernels of a network, and how often each occurs."""

LENGTH = 4.0
"""Distance in `place`, in doublings of a size, over which shares of the rates stay alike."""

AMPLITUDE = 0.4
"""How far shares deviate, as a natural logarithm."""

NOISE = 0.04
"""Relative error of a measurement and of the model's form."""

LANDMARKS = 160
"""Places of a family on which its function is built."""

ROUNDS = 4
"""Rounds of Gauss-Newton and of weighing outliers down."""

LEAST = 1e-9
"""Seconds; keeps logarithms finite."""


@dataclass(frozen=True)
class _Family:
    """The landmarks of a family, the factor that makes coordinates of covariances, and its columns among all."""

    landmarks: Floats
    factor: Floats
    columns: slice

    def coordinates(self, places: Floats) -> Floats:
        """(places, landmarks) -> values whose products are the covariances."""
        return np.asarray(np.linalg.solve(self.factor, covariance(self.landmarks, places)).T, np.float64)


@dataclass(frozen=True)
class KernelTimes:
    """The fitted function. `time` gives one kernel, `total` a network with the relative standard error."""

    rates: Mapping[str, float]
    families: Mapping[str, _Family]
    weights: Floats
    observed: Floats
    """(measurements, columns): what each measurement saw of the function, scaled by its certainty."""

    _known: dict[Kernel, tuple[float, float]] = field(default_factory=dict, repr=False, compare=False)

    def time(self, kernel: Kernel) -> float:
        """Seconds of one kernel."""
        return self._looked_up(kernel)[0]

    def _looked_up(self, kernel: Kernel) -> tuple[float, float]:
        if kernel not in self._known:
            base = max(LEAST, sum(self.rates.get(name, 0.0) * amount for name, amount in work(kernel).items()))
            group = self.families.get(family(kernel))
            share = 0.0 if group is None else float(self._coordinates(group, kernel) @ self.weights[group.columns])
            self._known[kernel] = base * np.exp(share), base
        return self._known[kernel]

    def _coordinates(self, group: _Family, kernel: Kernel) -> Floats:
        found: Floats = group.coordinates(place(kernel)[None])[0]
        return found

    def overhead(self, kernels: Counts) -> float:
        """Seconds that belong to the network as a whole."""
        return sum(self.rates.get(name, 0.0) * amount for name, amount in network_work(kernels).items())

    def total(self, kernels: Counts) -> float:
        """Seconds of a network."""
        return self.overhead(kernels) + sum(count * self.time(kernel) for kernel, count in kernels.items())

    def error(self, kernels: Counts) -> float:
        """The relative standard error of `total`: of the function, and of what no sum of kernels explains."""
        total, seen, unknown = self.total(kernels), np.zeros(len(self.weights)), 0.0
        for kernel, count in kernels.items():
            share, group = count * self.time(kernel) / total, self.families.get(family(kernel))
            if group is None:
                unknown += share
                continue
            coordinates = self._coordinates(group, kernel)
            seen[group.columns] += share * coordinates
        variance = float(np.sum((self._posterior @ seen) ** 2)) + unknown**2 + NOISE**2
        return float(np.sqrt(variance))

    @cached_property
    def _posterior(self) -> Floats:
        """A factor of the covariance of the weights after the measurements."""
        precision = self.observed.T @ self.observed + np.eye(len(self.weights))
        found: Floats = np.linalg.inv(np.linalg.cholesky(precision))
        return found


def covariance(first: Floats, second: Floats) -> Floats:
    """Of the shares at two sets of places: Matérn 3/2 for what changes quickly, a wide Gaussian for what changes slowly."""
    squares = (first**2).sum(1)[:, None] + (second**2).sum(1)[None] - 2 * first @ second.T
    near = np.sqrt(3 * np.maximum(squares, 0)) / LENGTH
    found: Floats = AMPLITUDE**2 * (
        0.5 * (1 + near) * np.exp(-near) + 0.5 * np.exp(-np.maximum(squares, 0) / (2 * (2.5 * LENGTH) ** 2))
    )
    return found


def fit(networks: Sequence[Counts], seconds: Sequence[float]) -> KernelTimes:
    """The function of kernels that explains the times of `networks`; the same for the same measurements.

    Raises:
        MissingExtra: scikit-learn is absent.
        UsageError: there are too few measurements.
    """
    if len(networks) < MIN_MEASUREMENTS:
        raise UsageError(
            f"{len(networks)} measurements are too few to predict from; {MIN_MEASUREMENTS} are needed. Profile for longer."
        )
    times = np.asarray(seconds, np.float64)
    rates = _rates(networks, times)
    return _deviations(networks, times, rates)


MIN_MEASUREMENTS = 20


def _rates(networks: Sequence[Counts], times: Floats) -> dict[str, float]:
    """Rates by least squares of the relative error, none of them negative."""
    try:
        from sklearn.linear_model import LinearRegression
    except ImportError as error:
        raise MissingExtra("Predicting latencies", "latency") from error
    rows = [_all_work(kernels) for kernels in networks]
    names = sorted({name for row in rows for name in row})
    column = {name: place for place, name in enumerate(names)}
    amounts = np.zeros((len(rows), len(names)))
    for index, row in enumerate(rows):
        for name, amount in row.items():
            amounts[index, column[name]] = amount / times[index]
    scale = np.maximum(np.abs(amounts).max(0), 1e-30)
    ridge = RIDGE * np.eye(len(names))
    trust, solution = np.ones(len(rows)), np.zeros(len(names))
    for _ in range(ROUNDS):
        design = np.vstack([amounts / scale * trust[:, None], ridge])
        answers = np.concatenate([trust, np.zeros(len(names))])
        solution = LinearRegression(positive=True, fit_intercept=False).fit(design, answers).coef_
        trust = 1 / np.sqrt(1 + ((amounts / scale @ solution - 1) / OUTLIER) ** 2)
    return dict(zip(names, map(float, solution / scale), strict=True))


RIDGE = 1e-3
OUTLIER = 0.15
"""Relative errors well above are weighed down."""


def _all_work(kernels: Counts) -> Mapping[str, float]:
    amounts: dict[str, float] = defaultdict(float, network_work(kernels))
    for kernel, count in kernels.items():
        for name, amount in work(kernel).items():
            amounts[name] += count * amount
    return amounts


def _deviations(networks: Sequence[Counts], times: Floats, rates: Mapping[str, float]) -> KernelTimes:
    """The Gaussian process of the shares, by Gauss-Newton on the logarithm of the times."""
    known = list(dict.fromkeys(kernel for kernels in networks for kernel in kernels))
    families, coordinates = _families(known)
    start = KernelTimes(rates, {}, np.zeros(0), np.zeros((0, 0)))
    base = np.array([start.time(kernel) for kernel in known])
    whole = np.array([start.overhead(kernels) for kernels in networks])
    counts = _counts(networks, known)
    weights, trust = np.zeros(coordinates.shape[1]), np.ones(len(times))
    for _ in range(ROUNDS):
        parts = counts.multiply(base * np.exp(coordinates @ weights)).tocsr()
        totals = np.asarray(parts.sum(1)).ravel() + whole
        seen: Floats = (parts.multiply(1 / totals[:, None]).tocsr() @ coordinates).toarray()
        target = np.log(times) - np.log(totals) + seen @ weights
        certainty = np.sqrt(trust) / NOISE
        observed = seen * certainty[:, None]
        gram = observed @ observed.T + np.eye(len(times))
        weights = observed.T @ np.linalg.solve(gram, target * certainty)
        trust = 1 / (1 + ((target - seen @ weights) / (3 * NOISE)) ** 2)
    return KernelTimes(rates, families, weights, observed)


def _counts(networks: Sequence[Counts], known: Sequence[Kernel]) -> Any:
    """How often each kernel occurs in each network, as a sparse matrix (networks, kernels)."""
    from scipy.sparse import csr_matrix

    column = {kernel: index for index, kernel in enumerate(known)}
    entries = [
        (count, row, column[kernel]) for row, kernels in enumerate(networks) for kernel, count in kernels.items()
    ]
    values, rows, columns = zip(*entries, strict=True)
    return csr_matrix((np.array(values, np.float64), (rows, columns)), shape=(len(networks), len(known)))


def _families(known: Sequence[Kernel]) -> tuple[dict[str, _Family], Any]:
    """Landmarks of each family, and the coordinates of all kernels as a sparse matrix (kernels, columns)."""
    from scipy.sparse import csr_matrix
    from sklearn.cluster import kmeans_plusplus

    rows: dict[str, list[int]] = defaultdict(list)
    for index, kernel in enumerate(known):
        rows[family(kernel)].append(index)
    families: dict[str, _Family] = {}
    blocks, where, columns = [], [], 0
    for name, indices in sorted(rows.items()):
        places = np.array([place(known[index]) for index in indices])
        distinct = np.unique(places, axis=0)
        landmarks = distinct
        if len(distinct) > LANDMARKS:
            landmarks, _ = kmeans_plusplus(distinct, LANDMARKS, random_state=0)
        size = len(landmarks)
        factor = np.linalg.cholesky(covariance(landmarks, landmarks) + 1e-6 * AMPLITUDE**2 * np.eye(size))
        families[name] = _Family(landmarks, np.asarray(factor, np.float64), slice(columns, columns + size))
        blocks.append(families[name].coordinates(places))
        where.append((indices, columns))
        columns += size
    values = np.concatenate([block.ravel() for block in blocks])
    at = [np.repeat(indices, block.shape[1]) for (indices, _), block in zip(where, blocks, strict=True)]
    to = [np.tile(np.arange(first, first + b.shape[1]), len(b)) for (_, first), b in zip(where, blocks, strict=True)]
    return families, csr_matrix((values, (np.concatenate(at), np.concatenate(to))), shape=(len(known), columns))

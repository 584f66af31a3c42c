"""Weight sharing: the weights of a layer take few values, found by k-means.

Han, Mao and Dally, "Deep Compression" (ICLR 2016), section 3: the sum of squared distances to the shared values is
minimized (equation 2), from starting values spread evenly over the weights' range, because few but large weights matter
and would find no value near them otherwise (section 3.2).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

ITERATIONS = 100

LEAST_USED = 0.75
"""A layer whose weights take no more than this share of its values has a few weights far from the others: it is clustered on."""


@dataclass(frozen=True)
class ClusteredWeights:
    """`codebook` (K,), ascending, and for each weight the index of its value in it."""

    codebook: Tensor
    indices: Tensor

    @property
    def values(self) -> Tensor:
        """The weights as they are shared, in the shape of the indices."""
        return self.codebook[self.indices]


def kmeans_codebook(weights: Tensor, bits: int) -> ClusteredWeights:
    """Shared values for `weights` of any shape: at most 2^bits, each the mean of the weights that take it.

    Lloyd's algorithm on the sorted weights: in one dimension the weights nearest to a value are a run of them, so each
    iteration is a search for the borders and differences of running sums. Values that no weight is near are dropped where
    they are few. Where they are many, they are put where they help most (see `_reseeded`): a few weights far from the others,
    as in a depthwise layer whose batch normalization was folded, must not cost the layer most of its values.
    """
    flat = weights.detach().reshape(-1).double()
    ordered, order = torch.sort(flat)
    distinct = torch.unique_consecutive(ordered)
    if len(distinct) <= 1 << bits:
        centres = distinct
    else:
        sums = _running(ordered), _running(ordered.square())
        centres = _lloyd(
            ordered, sums[0], torch.linspace(float(ordered[0]), float(ordered[-1]), 1 << bits, dtype=torch.float64)
        )
        rounds = 1 << bits if _used(ordered, centres) <= LEAST_USED else 0
        for _ in range(rounds):
            placed = _reseeded(ordered, *sums, centres)
            if placed is None:
                break
            centres = _lloyd(ordered, sums[0], placed)
    codebook = centres.to(weights.dtype)
    indices = torch.empty(len(flat), dtype=torch.int64)
    indices[order] = torch.bucketize(ordered, _borders(centres))
    used, indices = torch.unique(indices, return_inverse=True)
    return ClusteredWeights(codebook[used], indices.reshape(weights.shape))


def _lloyd(ordered: Tensor, sums: Tensor, centres: Tensor) -> Tensor:
    """The centres (K,) when they move no more, or after `ITERATIONS`."""
    for _ in range(ITERATIONS):
        starts, ends = _runs(ordered, centres)
        means = (sums[ends] - sums[starts]) / (ends - starts).clamp_min(1)
        moved = torch.where(ends > starts, means, centres).sort().values  # a centre without weights stays where it is
        if torch.equal(moved, centres):
            break
        centres = moved
    return centres


def _used(ordered: Tensor, centres: Tensor) -> float:
    """The share of the centres that have weights."""
    starts, ends = _runs(ordered, centres)
    return float((ends > starts).float().mean())


def _reseeded(ordered: Tensor, sums: Tensor, squares: Tensor, centres: Tensor) -> Tensor | None:
    """The centres (K,) with those that have no weights used to split the runs whose squared error is largest; None if all have.

    A run is split at its mean, so that the sum of squared errors falls with each.
    """
    starts, ends = _runs(ordered, centres)
    counts = ends - starts
    empty = (counts == 0).nonzero()[:, 0]
    errors = squares[ends] - squares[starts] - (sums[ends] - sums[starts]).square() / counts.clamp_min(1)
    several = (counts > 1) & (ordered[starts.clamp_max(len(ordered) - 1)] < ordered[(ends - 1).clamp_min(0)])
    worst = errors.where(several, -torch.inf).sort(descending=True).indices[: min(len(empty), int(several.sum()))]
    if len(worst) == 0:
        return None
    middles = torch.searchsorted(ordered, centres[worst], right=True).clamp(starts[worst] + 1, ends[worst] - 1)
    placed = centres.clone()
    placed[worst] = (sums[middles] - sums[starts[worst]]) / (middles - starts[worst])
    placed[empty[: len(worst)]] = (sums[ends[worst]] - sums[middles]) / (ends[worst] - middles)
    return placed.sort().values


def _running(values: Tensor) -> Tensor:
    """The sums of the first 0, 1, … values (N,), as (N + 1,)."""
    return torch.cat([torch.zeros(1, dtype=values.dtype), values.cumsum(0)])


def _runs(ordered: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Where the run of weights that is nearest to each centre starts, and where it ends."""
    ends = torch.searchsorted(ordered, _borders(centres), right=True)
    first, last = ends.new_zeros(1), ends.new_tensor([len(ordered)])
    return torch.cat([first, ends]), torch.cat([ends, last])


def _borders(centres: Tensor) -> Tensor:
    """Where the nearest centre changes; a weight on a border belongs to the lower one."""
    return (centres[1:] + centres[:-1]) / 2

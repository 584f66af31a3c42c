"""Weight sharing: the weights of a layer take few values, found by k-means.

Han, Mao and Dally, "Deep Compression" (ICLR 2016), section 3: the sum of squared distances to the shared values is
minimized (equation 2), from starting values spread evenly over the weights' range, because few but large weights matter
and would find no value near them otherwise (section 3.2).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

ITERATIONS = 100


@dataclass(frozen=True)
class Shared:
    """`codebook` (K,), ascending, and for each weight the index of its value in it."""

    codebook: Tensor
    indices: Tensor

    @property
    def values(self) -> Tensor:
        """The weights as they are shared, in the shape of the indices."""
        return self.codebook[self.indices]


def share(weights: Tensor, bits: int) -> Shared:
    """Shared values for `weights` of any shape: at most 2^bits, each the mean of the weights that take it.

    Lloyd's algorithm on the sorted weights: in one dimension the weights nearest to a value are a run of them, so each
    iteration is a search for the borders and differences of running sums. Values that no weight is near are dropped.
    """
    flat = weights.detach().reshape(-1).double()
    ordered, order = torch.sort(flat)
    distinct = torch.unique_consecutive(ordered)
    if len(distinct) <= 1 << bits:
        centres = distinct
    else:
        centres = torch.linspace(float(ordered[0]), float(ordered[-1]), 1 << bits, dtype=torch.float64)
        sums = torch.cat([torch.zeros(1, dtype=torch.float64), ordered.cumsum(0)])
        for _ in range(ITERATIONS):
            moved = _means(ordered, sums, centres)
            if torch.equal(moved, centres):
                break
            centres = moved
    codebook = centres.to(weights.dtype)
    indices = torch.empty(len(flat), dtype=torch.int64)
    indices[order] = torch.bucketize(ordered, _borders(centres))
    used, indices = torch.unique(indices, return_inverse=True)
    return Shared(codebook[used], indices.reshape(weights.shape))


def _means(ordered: Tensor, sums: Tensor, centres: Tensor) -> Tensor:
    """The mean of the weights nearest to each centre; a centre without weights stays where it is."""
    ends = torch.searchsorted(ordered, _borders(centres), right=True)
    starts = torch.cat([torch.zeros(1, dtype=ends.dtype), ends])
    ends = torch.cat([ends, torch.tensor([len(ordered)])])
    counts = ends - starts
    means = (sums[ends] - sums[starts]) / counts.clamp_min(1)
    return torch.where(counts > 0, means, centres).sort().values


def _borders(centres: Tensor) -> Tensor:
    """Where the nearest centre changes; a weight on a border belongs to the lower one."""
    return (centres[1:] + centres[:-1]) / 2

"""Weight clustering: weights are pruned, clustered by k-means and rounded, so that the entropy-coded model file is small."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pocketcnn.compression.coding.settings import FLOAT_DIGITS, ClusterSettings
from pocketcnn.compression.coding.sparsity import Unstructured, sparsify, weight_names
from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph, GraphNetwork, for_inference

ITERATIONS = 100

MIN_USED_RATIO = 0.75
"""If k-means leaves a larger share of its centres empty than one minus this, outliers have distorted it, and it is reseeded."""


@dataclass(frozen=True)
class ClusteredWeights:
    """A `codebook` (K,), ascending, and the codebook index of each weight."""

    codebook: Tensor
    indices: Tensor

    @property
    def values(self) -> Tensor:
        """The clustered weights, in the shape of the indices."""
        return self.codebook[self.indices]


def kmeans_codebook(weights: Tensor, bits: int) -> ClusteredWeights:
    """Cluster `weights` of any shape into at most 2^bits values; each value is the mean of its weights.

    This is Lloyd's algorithm on sorted weights. In one dimension a cluster is a run of the sorted weights, so each iteration
    takes a search for the borders and differences of prefix sums. A few empty centres are dropped. If there are many, they
    are reseeded where the error is largest (see `_reseeded`). Otherwise a few outliers, as in a depthwise layer with folded
    batch normalization, would cost the layer most of its codebook.

    Args:
        weights: weights of one layer, any shape.
        bits: bits per index.

    Returns:
        The codebook in the type of `weights`, and indices in their shape.
    """
    flat = weights.detach().reshape(-1).double()
    ordered, order = torch.sort(flat)
    distinct = torch.unique_consecutive(ordered)
    if len(distinct) <= 1 << bits:
        centres = distinct
    else:
        sums = _prefix_sums(ordered), _prefix_sums(ordered.square())
        centres = _lloyd(
            ordered, sums[0], torch.linspace(float(ordered[0]), float(ordered[-1]), 1 << bits, dtype=torch.float64)
        )
        rounds = 1 << bits if _used(ordered, centres) <= MIN_USED_RATIO else 0
        for _ in range(rounds):
            reseeded = _reseeded(ordered, *sums, centres)
            if reseeded is None:
                break
            centres = _lloyd(ordered, sums[0], reseeded)
    codebook = centres.to(weights.dtype)
    indices = torch.empty(len(flat), dtype=torch.int64)
    indices[order] = torch.bucketize(ordered, _borders(centres))
    used, indices = torch.unique(indices, return_inverse=True)
    return ClusteredWeights(codebook[used], indices.reshape(weights.shape))


def _lloyd(ordered: Tensor, sums: Tensor, centres: Tensor) -> Tensor:
    """Iterate until the centres (K,) no longer change, at most `ITERATIONS` times."""
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
    """Use the empty centres to split the clusters with the largest squared error; None if no centre is empty.

    A cluster is split at its mean, so each split reduces the sum of squared errors. The result is the new centres (K,).
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
    reseeded = centres.clone()
    reseeded[worst] = (sums[middles] - sums[starts[worst]]) / (middles - starts[worst])
    reseeded[empty[: len(worst)]] = (sums[ends[worst]] - sums[middles]) / (ends[worst] - middles)
    return reseeded.sort().values


def _prefix_sums(values: Tensor) -> Tensor:
    """The sums of the first 0, 1, …, N values (N,), as (N + 1,)."""
    return torch.cat([torch.zeros(1, dtype=values.dtype), values.cumsum(0)])


def _runs(ordered: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """The start and end of the run of sorted weights that is nearest to each centre."""
    ends = torch.searchsorted(ordered, _borders(centres), right=True)
    first, last = ends.new_zeros(1), ends.new_tensor([len(ordered)])
    return torch.cat([first, ends]), torch.cat([ends, last])


def _borders(centres: Tensor) -> Tensor:
    """The midpoints between neighbouring centres; a weight on a midpoint belongs to the lower centre."""
    return (centres[1:] + centres[:-1]) / 2


def rounded(values: Tensor, digits: int) -> Tensor:
    """Round float32 `values` to `digits` significant binary digits, half to even.

    The exponent range is not reduced. Tensors of other types are returned unchanged.
    """
    if values.dtype != torch.float32 or digits >= FLOAT_DIGITS:
        return values
    dropped = FLOAT_DIGITS - digits
    bits = values.detach().contiguous().view(torch.int32)
    half_less_one, last_kept = (1 << (dropped - 1)) - 1, (bits >> dropped) & 1
    rounded_bits = (bits + half_less_one + last_kept) & -(1 << dropped)
    result = rounded_bits.view(torch.float32)
    return torch.where(torch.isfinite(result), result, values.detach())


def cluster_weights(network: GraphNetwork, settings: ClusterSettings | None = None) -> GraphNetwork:
    """Prune and cluster the weights of a float network without training, for a small model file.

    Batch normalization is folded first. The result is an ordinary float network. Save it with ``save(path, network,
    coding="range")`` to get the small file. A quantized network needs no clustering: save it in the same way.

    Han, Mao and Dally, "Deep Compression" (ICLR 2016), section 3.

    Args:
        network: a captured float network; it is not changed.
        settings: density, bits and precision; the defaults cluster every layer to 64 values.

    Raises:
        UsageError: the network is quantized, or the settings name a weight that it does not have.
    """
    settings = settings or ClusterSettings()
    graph = for_inference(pruned(network, settings).graph)
    weights = clusterable_weights(graph, settings)
    return GraphNetwork(
        with_clustered_weights(graph, weights, codebooks_of(weights, settings), settings.digits), network.info
    )


def pruned(network: GraphNetwork, settings: ClusterSettings) -> GraphNetwork:
    """A copy of a float network in which the weights that the settings remove are zero.

    Raises:
        UsageError: the network is quantized, or the settings name a weight that it does not have.
    """
    graph = network.graph
    if network.numerics:
        raise UsageError(
            "This network is quantized, and its integers are entropy-coded without clustering. Save it with coding='range', "
            "or prune and cluster the weights of the original float network."
        )
    if unknown := sorted((settings.keep | settings.bits_of.keys()) - set(weight_names(graph))):
        raise UsageError(f"The network has no convolution or linear layer with a weight called {unknown[0]!r}.")
    if settings.density is not None and settings.density < 1:
        sparse = sparsify(network, Unstructured(1 - settings.density)).graph.tensors
        names = clusterable_weights(graph, settings)
        graph = graph.rebuilt(tensors={**graph.tensors, **{name: sparse[name] for name in names}})
    return GraphNetwork(graph, network.info)


def clusterable_weights(graph: Graph, settings: ClusterSettings) -> dict[str, Tensor]:
    """The trainable weights of convolutions and linear layers that `settings.keep` does not exclude."""
    fixed = settings.keep | graph.buffers
    return {name: graph.tensors[name].detach() for name in weight_names(graph) if name not in fixed}


def codebooks_of(weights: Mapping[str, Tensor], settings: ClusterSettings) -> dict[str, ClusteredWeights]:
    """Cluster the non-zero weights of each layer that the settings cluster; zeros stay outside the codebook."""
    found = {}
    for name, weight in weights.items():
        bits = settings.bits_for(name)
        if bits is not None:
            found[name] = kmeans_codebook(weight[weight != 0], bits)
    return found


def with_clustered_weights(
    graph: Graph, weights: Mapping[str, Tensor], shared: Mapping[str, ClusteredWeights], digits: int
) -> Graph:
    """`graph` with pruned `weights`, whose non-zero entries come from the codebooks `shared`, and rounded other tensors.

    Codebooks, biases and other vectors are rounded to `digits` significant binary digits. A weight that is pruned but not
    clustered is not rounded.
    """
    tensors = dict(graph.tensors)
    for name, tensor in tensors.items():
        if name in shared:
            values = torch.zeros_like(weights[name])
            values[weights[name] != 0] = rounded(shared[name].codebook, digits)[shared[name].indices]
            tensors[name] = values
        elif name in weights:
            tensors[name] = weights[name] + 0.0  # turns -0 into 0: the entropy coder treats them as two values
        elif tensor.ndim <= 1:
            tensors[name] = rounded(tensor, digits)
    return graph.rebuilt(tensors=tensors)

"""Weights with few distinct values: pruned, clustered by k-means and rounded, so that the entropy-coded file is small."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pocketcnn.compression.coding.settings import FLOAT_DIGITS, ClusterSettings
from pocketcnn.compression.coding.sparsity import Unstructured, sparsify, weight_names
from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph, GraphNetwork, for_inference

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


def rounded(values: Tensor, digits: int) -> Tensor:
    """float32 `values` to the nearest number with `digits` significant binary digits, half to even.

    What is no float32 is returned as it is. Only the significand is rounded, never the range.
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
    """Prune and share the weights of a float network for the sake of its file, without training.

    Batch normalization is folded first. The result is an ordinary float network; what makes it small is
    ``save(path, network, coding="range")``. A quantized network is saved like that as it is.

    Raises:
        UsageError: the network is quantized, or the settings name a weight that it does not have.
    """
    settings = settings or ClusterSettings()
    graph = for_inference(pruned(network, settings).graph)
    weights = coded_weights(graph, settings)
    return GraphNetwork(with_values(graph, weights, shared_weights(weights, settings), settings.digits), network.info)


def pruned(network: GraphNetwork, settings: ClusterSettings) -> GraphNetwork:
    """A copy of a float network with the weights that the settings leave, the others zero.

    Raises:
        UsageError: the network is quantized, or the settings name a weight that it does not have.
    """
    graph = network.graph
    if network.numerics:
        raise UsageError(
            "This network is quantized: its integers are coded as they are. Save it with coding='range', or prune and "
            "share the weights of the float network that it was made from."
        )
    if unknown := sorted((settings.keep | settings.bits_of.keys()) - set(weight_names(graph))):
        raise UsageError(f"The network has no weight {unknown[0]!r} of a convolution or linear layer.")
    if settings.density is not None and settings.density < 1:
        sparse = sparsify(network, Unstructured(1 - settings.density)).graph.tensors
        names = coded_weights(graph, settings)
        graph = graph.rebuilt(tensors={**graph.tensors, **{name: sparse[name] for name in names}})
    return GraphNetwork(graph, network.info)


def coded_weights(graph: Graph, settings: ClusterSettings) -> dict[str, Tensor]:
    """The weights that may be pruned and shared: those of convolutions and linear layers that are trained and not kept."""
    fixed = settings.keep | graph.buffers
    return {name: graph.tensors[name].detach() for name in weight_names(graph) if name not in fixed}


def shared_weights(weights: Mapping[str, Tensor], settings: ClusterSettings) -> dict[str, ClusteredWeights]:
    """Shared values for the weights that are to have them; where weights are zero, zero is a value of its own."""
    found = {}
    for name, weight in weights.items():
        bits = settings.bits_for(name)
        if bits is not None:
            found[name] = kmeans_codebook(weight[weight != 0], bits)
    return found


def with_values(
    graph: Graph, weights: Mapping[str, Tensor], shared: Mapping[str, ClusteredWeights], digits: int
) -> Graph:
    """`graph` with pruned `weights`, in the places other than zero as they are `shared`, and all else in `digits` digits.

    A weight that is pruned but not shared keeps its digits.
    """
    tensors = dict(graph.tensors)
    for name, tensor in tensors.items():
        if name in shared:
            values = torch.zeros_like(weights[name])
            values[weights[name] != 0] = rounded(shared[name].codebook, digits)[shared[name].indices]
            tensors[name] = values
        elif name in weights:
            tensors[name] = weights[name] + 0.0  # without -0, which is another value than 0 to what codes the file
        elif tensor.ndim <= 1:
            tensors[name] = rounded(tensor, digits)
    return graph.rebuilt(tensors=tensors)

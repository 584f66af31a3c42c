"""`cluster_weights`: a network whose coded model file is small, in one shot; `deep` recovers in between what this costs."""

from collections.abc import Mapping

import torch
from torch import Tensor

from pocketcnn.compression.coding.codebook import ClusteredWeights, kmeans_codebook
from pocketcnn.compression.coding.precision import rounded
from pocketcnn.compression.coding.settings import ClusterSettings
from pocketcnn.compression.pruning.sparsity import Unstructured, sparsify, weight_names
from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph, GraphNetwork, for_inference


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

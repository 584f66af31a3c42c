"""Channels silenced where they are read: what removal must equal."""

from collections.abc import Iterable

import torch

from pocketcnn.compression.pruning.coupling.coupling import Coupling, couple
from pocketcnn.graph.graph import Graph


def mask(graph: Graph, classes: Iterable[int], coupling: Coupling | None = None) -> Graph:
    """`graph` with the channels of `classes` read as zero by every convolution and linear layer.

    The columns of the weights that read them are zeroed. This is the meaning of "without these channels" that holds
    for every network: zeroing what *makes* a channel would leave behind what batch normalization, a gate or an
    activation with f(0) != 0 makes of a zero.

    Raises:
        UsageError: a class that must stay, or a quantized graph.
    """
    coupling = coupling or couple(graph)
    left = coupling.staying(classes)
    tensors = dict(graph.tensors)
    for layer in coupling.layers:
        weight = graph.tensors[layer.weight]
        kept = torch.from_numpy(left[layer.inputs]).to(weight.device)
        grouped = weight.reshape(layer.groups, -1, weight.shape[1], *weight.shape[2:])
        columns = kept.reshape(layer.groups, 1, weight.shape[1], *(1,) * (weight.ndim - 2))
        tensors[layer.weight] = (grouped * columns).reshape(weight.shape)
    return graph.rebuilt(tensors=tensors)

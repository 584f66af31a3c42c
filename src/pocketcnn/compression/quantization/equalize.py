"""Cross-layer equalization: small channels are scaled up, and the weights of the next layer down in return.

Nagel, van Baalen, Blankevoort and Welling, "Data-Free Quantization Through Weight Equalization and Bias Correction" (ICCV
2019), section 4.1. A channel is produced with weights of range r1 and read with weights of range r2. Dividing it by s =
sqrt(r1 / r2) gives both the same range (equation 11), so that no channel is left with only a few integers. Pairs, triples
around a depthwise convolution, and channels joined by residual connections are handled alike: as classes of channels with one
factor each, repeated until the factors converge.

Here r1 and r2 are relative to the largest range of their layer, so that no layer's range grows. With per-channel weight
scales the size of a filter costs nothing, and the single scale of all activations matters. ``activations`` therefore uses the
largest observed value of a channel as r1, and the weights relative to those of the same filter as r2. If each filter reads
only one channel (depthwise), r1 alone decides.
"""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pocketcnn.compression.coupling.classes import Labels, Mask
from pocketcnn.compression.coupling.trace import Layer
from pocketcnn.compression.quantization.channel_factors import ChannelFactors, channel_factors
from pocketcnn.compression.quantization.settings import QuantizeSettings
from pocketcnn.graph import Graph, GraphNetwork, Node

Values = NDArray[np.float64]

ROUNDS = 40
TOLERANCE = 1e-3
"""Iteration ends when all factors change by less than this share."""
MAX_FACTOR = 2.0**10
"""Factors are clamped to 1 / MAX_FACTOR … MAX_FACTOR: channels beyond that hold no useful information."""


def equalize(graph: Graph, images: Tensor, settings: QuantizeSettings) -> Graph:
    """Equalize the channels of a float `graph` without batch normalization.

    The result computes the same function up to rounding. Channels that pass a ReLU6 keep their scale, because its bound is
    the same for all. If ReLU6 is to be replaced by ReLU (`settings.relu6`), as in the paper, they are equalized too, and
    values above 6 are no longer clipped.

    Args:
        graph: a float graph without batch normalization.
        images: (N, C, H, W), to observe the activations.
        settings: `equalize` and `relu6`.
    """
    channels = channel_factors(graph)
    if settings.relu6 == "replace":
        graph = _without_relu6(graph, channels)
    free = channels.free & ~_passing_relu6(graph, channels)
    seen = _largest_read(graph, channels, images)
    ranges = _by_weights if settings.equalize == "weights" else _by_activations
    total = np.ones(len(channels))
    tensors = dict(graph.tensors)
    for _ in range(ROUNDS):
        made, read, share = ranges(graph, channels, tensors, seen / total)
        factor = np.clip(_factors(channels, made, read, share) * total, 1 / MAX_FACTOR, MAX_FACTOR) / total
        factor = np.where(free, factor, 1.0)
        total *= factor
        tensors = _scaled(graph, channels, tensors, factor)
        if np.abs(np.log(factor)).max(initial=0.0) < TOLERANCE:
            break
    return graph.rebuilt(tensors=tensors)


def _passing_relu6(graph: Graph, channels: ChannelFactors) -> Mask:
    """The classes, (classes,), with a channel that a ReLU6 clips."""
    found = np.zeros(len(channels), dtype=np.bool_)
    for node in graph.nodes:
        if node.op == "relu6":
            found[np.unique(channels.values[node.name])] = True
    return found


def _largest_read(graph: Graph, channels: ChannelFactors, images: Tensor) -> Values:
    """For each class, the largest magnitude that a layer reads in the float network, (classes,)."""
    largest = np.zeros(len(channels))
    reads = {graph[layer.node].inputs[0] for layer in channels.layers}

    def watch(node: Node, value: Tensor) -> None:
        if node.name in reads:
            _update_maximum(largest, channels.values[node.name], value.abs().amax(dim=0))

    network = GraphNetwork(graph).eval()
    with torch.inference_mode():
        for batch in torch.split(images, 32):
            network.run(batch, watch)
    return largest


def _update_maximum(largest: Values, labels: Labels, value: Tensor) -> None:
    """Raise `largest` (classes,) to the values (C, H, W) of the channels with these labels."""
    axes = tuple(axis for axis, size in enumerate(labels.shape) if size == 1)
    peaks = value.amax(dim=axes, keepdim=True) if axes else value
    np.maximum.at(largest, labels.ravel(), peaks.double().cpu().numpy().ravel())


def _without_relu6(graph: Graph, channels: ChannelFactors) -> Graph:
    """Replace every ReLU6 whose channels can be scaled by ReLU."""
    nodes = [
        replace(node, op="relu")
        if node.op == "relu6" and bool(channels.free[channels.values[node.name]].all())
        else node
        for node in graph.nodes
    ]
    return graph.rebuilt(nodes)


Ranges = tuple[Values, Values, Values]
"""For each class r1, r2, and the share of the factor that r1 decides: 1/2 equalizes both."""


def _by_weights(graph: Graph, channels: ChannelFactors, tensors: dict[str, Tensor], seen: Values) -> Ranges:  # noqa: ARG001
    made, read = np.zeros(len(channels)), np.zeros(len(channels))
    for layer in channels.layers:
        weight = tensors[layer.weight].detach().double()
        np.maximum.at(made, layer.outputs, weight.abs().reshape(len(weight), -1).amax(1).cpu().numpy())
        np.maximum.at(read, layer.inputs, _columns(weight, layer))
    return made, read, np.full(len(channels), 0.5)


def _by_activations(graph: Graph, channels: ChannelFactors, tensors: dict[str, Tensor], seen: Values) -> Ranges:  # noqa: ARG001
    read, share = np.zeros(len(channels)), np.ones(len(channels))
    for layer in channels.layers:
        weight = tensors[layer.weight].detach().double()
        filters = weight.abs().reshape(len(weight), -1).amax(1).clamp_min(torch.finfo(torch.float64).tiny)
        relative = weight / filters.reshape(-1, *(1,) * (weight.ndim - 1))
        np.maximum.at(read, layer.inputs, _columns(relative, layer))
        if weight.shape[1] > 1:
            share[layer.inputs] = 0.5
    return seen, read, share


def _columns(weight: Tensor, layer: Layer) -> Values:
    """The largest magnitude of the weights that read each input channel, (C,)."""
    blocks = weight.abs().reshape(layer.groups, len(weight) // layer.groups, weight.shape[1], -1)
    return blocks.amax(dim=(1, 3)).reshape(-1).cpu().numpy()


def _factors(channels: ChannelFactors, made: Values, read: Values, share: Values) -> Values:
    """The divisor of each class; 1 if the class is not written or not read."""
    largest_made, largest_read = np.zeros(len(channels)), np.zeros(len(channels))
    for layer in channels.layers:
        np.maximum.at(largest_made, layer.outputs, made[layer.outputs].max())
        np.maximum.at(largest_read, layer.inputs, read[layer.inputs].max())
    usable = channels.free & (made > 0) & (read > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = (made / largest_made) ** share / (read / largest_read) ** (1 - share)
    return np.where(usable, factor, 1.0)


def _scaled(graph: Graph, channels: ChannelFactors, tensors: dict[str, Tensor], factor: Values) -> dict[str, Tensor]:
    """The tensors with each class divided by its factor where it is written and multiplied where it is read."""
    changed: dict[str, Tensor] = {}
    for layer in channels.layers:
        weight = tensors[layer.weight].detach()
        made = torch.from_numpy(factor[layer.outputs]).to(weight.device)
        read = torch.from_numpy(factor[layer.inputs]).to(weight.device).reshape(layer.groups, -1)
        ratio = read.repeat_interleave(len(weight) // layer.groups, dim=0) / made[:, None]
        parts = {layer.weight: ratio.reshape(*ratio.shape, *(1,) * (weight.ndim - 2))}
        if "bias" in graph[layer.node].tensors:
            parts[graph[layer.node].tensors["bias"]] = 1 / made
        for name, by in parts.items():
            if name not in changed:  # a shared tensor has the same classes everywhere
                changed[name] = (tensors[name].detach().double() * by).to(tensors[name].dtype)
    return {**tensors, **changed}

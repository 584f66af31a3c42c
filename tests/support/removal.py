"""The one test of pruning: a network without some channels computes what it computes with them masked."""

import random

import torch
from torch import Tensor, nn

from pocketcnn.compression.coupling import Coupling, channel_groups, couple, mask, remove
from pocketcnn.compression.pruning.schedule import schedule
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.network import GraphNetwork


def some_classes(coupling: Coupling, seed: int, share: float, multiple: int = 1) -> tuple[int, ...]:
    """About `share` of all channels that can go, chosen at random, no layer left empty."""
    draw = random.Random(seed)
    scores = {item: draw.random() for item in coupling.removable().tolist()}
    order = schedule(coupling, channel_groups(coupling, scores), scores, multiple=multiple, min_channels=1, floor=0.0)
    return order.classes(order.counts(round(share * len(order.order))))


def outputs(graph: Graph, images: Tensor) -> Tensor:
    with torch.inference_mode():
        return GraphNetwork(graph).eval()(images)


def images_for(graph: Graph, seed: int = 0) -> Tensor:
    """Two images in the precision of the graph."""
    dtype = next(tensor.dtype for tensor in graph.tensors.values() if tensor.is_floating_point())
    return torch.randn(2, *graph.input_shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def largest_difference(first: Tensor, second: Tensor) -> float:
    """The largest difference, in units of the largest value."""
    return float((first - second).abs().max() / first.abs().max().clamp(min=1e-12))


def removal_error(graph: Graph, classes: tuple[int, ...], coupling: Coupling | None = None) -> float:
    """How far the network without the channels is from the network with them masked."""
    coupling = coupling or couple(graph)
    images = images_for(graph)
    return largest_difference(
        outputs(mask(graph, classes, coupling), images), outputs(remove(graph, classes, coupling), images)
    )


def randomise(network: nn.Module, seed: int = 7) -> nn.Module:
    """Eval mode, with weights and batch statistics that matter."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for part in network.modules():
            if isinstance(part, nn.BatchNorm2d | nn.BatchNorm1d):
                part.running_mean.normal_(0, 0.3, generator=draw)
                part.running_var.uniform_(0.5, 2, generator=draw)
                if part.affine:
                    part.weight.uniform_(0.5, 1.2, generator=draw)
                    part.bias.normal_(0, 0.3, generator=draw)
            elif isinstance(part, nn.Conv2d | nn.Linear):
                part.weight.normal_(0, part.weight[0].numel() ** -0.5, generator=draw)
                if part.bias is not None:
                    part.bias.normal_(0, 0.3, generator=draw)
    return network.eval()

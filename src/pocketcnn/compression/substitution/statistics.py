"""Activations of a network on images, for the substitution passes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pocketcnn.graph import Graph, GraphNetwork, Node

BATCH = 8
"""Images per batch: patches of large maps take much memory."""

ValueStatistics = Callable[[Mapping[str, Tensor], int], None]
"""Receives the requested values of one batch by name, (N, …), and N; a constant has a batch axis of 1."""


def value_statistics(graph: Graph, images: Tensor, names: frozenset[str], receive: ValueStatistics) -> None:
    """Run `images` (N, C, H, W) through `graph` in eval mode and pass the values `names` of each batch to `receive`."""
    network = GraphNetwork(graph).eval().to(images.device)
    with torch.inference_mode():
        for batch in torch.split(images, BATCH):
            seen: dict[str, Tensor] = {}

            def keep(node: Node, value: Tensor, seen: dict[str, Tensor] = seen) -> None:
                if node.name in names:
                    seen[node.name] = value

            network.run(batch, keep)

            receive(seen, len(batch))


def mean_of(graph: Graph, images: Tensor, names: frozenset[str]) -> dict[str, Tensor]:
    """The mean over images of each value."""
    sums: dict[str, Tensor] = {}

    def add(seen: Mapping[str, Tensor], count: int) -> None:
        for name, value in seen.items():
            sums[name] = sums.get(name, torch.zeros(())) + value.mean(0) * count

    value_statistics(graph, images, names, add)
    return {name: total / len(images) for name, total in sums.items()}


def refresh_statistics(network: nn.Module, images: Tensor) -> None:
    """Recalibrate the running mean and variance of every batch norm, as the plain average over batches of `images`.

    After a change, the statistics of the old network no longer apply (Yu and Huang, "Universally Slimmable Networks and
    Improved Training Techniques", ICCV 2019, section 3.3: batch norm calibration).
    """
    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    if not layers or len(images) < 2:
        return
    with _estimating(network, layers), torch.no_grad():
        for batch in torch.split(images, max(2, min(64, len(images)))):
            if len(batch) > 1:
                network(batch)


@contextmanager
def _estimating(network: nn.Module, layers: list[nn.BatchNorm1d | nn.BatchNorm2d]) -> Iterator[None]:
    training = {module: module.training for module in network.modules()}
    momenta = [layer.momentum for layer in layers]
    network.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the plain average
        layer.train()
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        for module, mode in training.items():
            module.training = mode

"""Small float networks with batch statistics of their own, for the tests of quantization."""

from functools import cache

import torch
from torch import Tensor, nn

from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.models import create


@cache
def settled(name: str = "mobilenet_v2", size: int = 16) -> GraphNetwork:
    """A narrow network of the zoo whose batch norms know random images; nobody may change it."""
    torch.manual_seed(0)
    module = create(name, width=0.25, classes=10, total_stride=4)
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0.5
    module.train()
    for _ in range(4):
        module(torch.randn(16, 3, size, size))
    return GraphNetwork(capture(module.eval(), (1, 3, size, size))).eval()


def noise(count: int, size: int = 16, seed: int = 1) -> Tensor:
    """Random images (N, 3, size, size)."""
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def answers(network: nn.Module, images: Tensor) -> Tensor:
    """Logits in eval mode."""
    with torch.inference_mode():
        return network.eval()(images)


def decibels(exact: Tensor, found: Tensor) -> float:
    """The ratio of signal to the noise that `found` adds to it."""
    return float(10 * torch.log10(exact.var() / (exact - found).square().mean()))

"""Small float networks with batch statistics of their own, for the tests of quantization."""

from functools import cache

import torch
from torch import Tensor, nn

from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.layers import ConvNormAct
from pocketcnn.models import create


@cache
def settled(name: str = "mobilenet_v2", size: int = 16) -> GraphNetwork:
    """A narrow network of the zoo whose batch norms know random images; nobody may change it."""
    torch.manual_seed(0)
    module = create(name, width=0.25, classes=10, total_stride=4)
    return with_statistics(module, size)


def random_network(seed: int) -> GraphNetwork:
    """A stem, a depthwise separable convolution and a classifier, with the batch statistics of random images."""
    torch.manual_seed(seed)
    module = nn.Sequential(
        ConvNormAct(3, 16, stride=2),
        ConvNormAct(16, 16, groups=16),
        ConvNormAct(16, 24, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(24, 10),
    )
    return with_statistics(module, 16)


def with_statistics(module: nn.Module, size: int) -> GraphNetwork:
    """`module`, captured, after its batch norms have seen random images of `size` x `size`."""
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

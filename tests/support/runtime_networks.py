"""Small classifiers, float32 and int8, for the tests of everything that runs networks."""

from functools import cache

import torch
from torch import Tensor, nn

import pocketcnn as pc
from pocketcnn.graph import GraphNetwork, capture

SHAPE = (3, 16, 16)


class Block(nn.Module):
    """Depthwise separable with a residual connection, as in most networks of the zoo."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.act = nn.ReLU6()
        self.pointwise = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.pointwise(self.act(self.norm(self.depthwise(x))))


def module(classes: int = 5, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        Block(8),
        nn.Conv2d(8, 12, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, classes),
    )
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 2)
        elif isinstance(part, nn.Linear):
            part.weight.data *= 8  # scores far enough apart that an argmax means something
    return network.eval()


def images(count: int = 32, seed: int = 5) -> Tensor:
    """Each of its own colour and contrast, so that the classes of the answers vary."""
    random = torch.Generator().manual_seed(seed)
    colour = torch.randn(count, 3, 1, 1, generator=random)
    return (colour + torch.randn(count, *SHAPE, generator=random)).clamp(-3, 3)


@cache
def float_network() -> GraphNetwork:
    return GraphNetwork(capture(module(), (1, *SHAPE))).eval()


@cache
def int8_network() -> GraphNetwork:
    return pc.quantize(float_network(), images(64, seed=6)).eval()


def network_of(numerics: str) -> GraphNetwork:
    return float_network() if numerics == "float32" else int8_network()

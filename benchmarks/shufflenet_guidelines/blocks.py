"""The networks of the experiments: ten equal blocks of 1x1 convolutions, without batch norm, which inference folds away.

What the paper leaves open is settled here: the two layers of a block of Table 1 are 1x1 convolutions (its speeds fit those of
Table 2 only so), parallel fragments are joined by a sum, and the bottleneck of Table 4 is ResNet's, a quarter as wide inside.
"""

from math import sqrt

import torch
from torch import Tensor, nn

from pocketcnn.graph import Graph, GraphNetwork, capture

BLOCKS = 10


def graph_of(network: nn.Module, side: int) -> GraphNetwork:
    """The network for one image of `side` x `side` with as many channels as its first layer takes."""
    channels = next(layer.in_channels for layer in network.modules() if isinstance(layer, nn.Conv2d))
    torch.manual_seed(0)
    graph: Graph = capture(network.eval(), (1, channels, side, side))
    return GraphNetwork(graph).eval()


def two_widths(widths: tuple[int, int]) -> nn.Module:
    """Blocks of two 1x1 convolutions, c1 -> c2 -> c1."""
    c1, c2 = widths
    return nn.Sequential(*(layer for _ in range(BLOCKS) for layer in (nn.Conv2d(c1, c2, 1), nn.Conv2d(c2, c1, 1))))


def group_convolutions(form: tuple[int, int]) -> nn.Module:
    """1x1 convolutions of c channels in g groups; c is rounded to what g divides."""
    channels, groups = form
    channels -= channels % groups
    return nn.Sequential(*(nn.Conv2d(channels, channels, 1, groups=groups) for _ in range(BLOCKS)))


class Parallel(nn.Module):
    """1x1 convolutions side by side, summed."""

    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        self.paths = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in range(count))

    def forward(self, x: Tensor) -> Tensor:
        first, *rest = (path(x) for path in self.paths)
        for value in rest:
            first = first + value
        return first


def fragments(form: tuple[int, int, bool]) -> nn.Module:
    """Blocks of `count` 1x1 convolutions that together do as much as one of c channels."""
    channels, count, parallel = form
    width = round(channels / sqrt(count))
    if parallel:
        return nn.Sequential(*(Parallel(width, count) for _ in range(BLOCKS)))
    return nn.Sequential(*(nn.Conv2d(width, width, 1) for _ in range(BLOCKS * count)))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 as in ResNet, with or without ReLU and shortcut."""

    def __init__(self, channels: int, relu: bool, shortcut: bool) -> None:
        super().__init__()
        inner = channels // 4
        self.layers = nn.ModuleList(
            [nn.Conv2d(channels, inner, 1), nn.Conv2d(inner, inner, 3, padding=1), nn.Conv2d(inner, channels, 1)]
        )
        self.relu, self.shortcut = relu, shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for place, layer in enumerate(self.layers):
            y = layer(y)
            if self.relu and place < 2:
                y = y.relu()
        y = y + x if self.shortcut else y
        return y.relu() if self.relu else y


def bottlenecks(form: tuple[int, bool, bool]) -> nn.Module:
    """Bottleneck units of c channels."""
    return nn.Sequential(*(Bottleneck(*form) for _ in range(BLOCKS)))


def shuffled(form: tuple[int, int]) -> nn.Module:
    """1x1 convolutions with a channel shuffle after each, or without for one group."""
    channels, groups = form
    layers: list[nn.Module] = []
    for _ in range(BLOCKS):
        layers.append(nn.Conv2d(channels, channels, 1))
        if groups > 1:
            layers.append(nn.ChannelShuffle(groups))
    return nn.Sequential(*layers)

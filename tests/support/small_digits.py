"""A small residual network after some seconds of training on scikit-learn's digits (8x8 pixels), and the images."""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.layers import ConvNormAct
from tests.support.trained_zoo import Digits

EPOCHS, BATCH = 8, 64


class Residual(nn.Module):
    """x + a linear bottleneck of x."""

    def __init__(self, channels: int, middle: int, kernel: int) -> None:
        super().__init__()
        self.expand = ConvNormAct(channels, middle, kernel)
        self.reduce = ConvNormAct(middle, channels, 1, activation=None)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.reduce(self.expand(x))
        return result


def training_images() -> tuple[Tensor, Tensor]:
    """Images (1100, 1, 8, 8) from -1 to 1, and labels."""
    digits = Digits((0, 1100), 8)
    return digits.images, digits.labels


def held_out_images() -> tuple[Tensor, Tensor]:
    """497 others."""
    digits = Digits((1300, 1797), 8)
    return digits.images, digits.labels


def accuracy(network: nn.Module) -> float:
    """The share of the held-out images that `network` names rightly."""
    images, labels = held_out_images()
    with torch.no_grad():
        return float((network.eval()(images).argmax(1) == labels).float().mean())


@cache
def trained_network() -> GraphNetwork:
    """The same every time; not to be changed."""
    torch.manual_seed(0)
    module = nn.Sequential(
        ConvNormAct(1, 16),
        Residual(16, 24, 5),
        Residual(16, 24, 3),
        Residual(16, 24, 3),
        ConvNormAct(16, 32, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )
    network = GraphNetwork(capture(module, (1, 1, 8, 8)))
    fit(network, EPOCHS)
    return network.eval()


def fit(network: nn.Module, epochs: int, rate: float = 0.01) -> None:
    """Train in place with Adam and cross-entropy."""
    images, labels = training_images()
    optimizer = torch.optim.Adam(network.parameters(), rate)
    order = torch.Generator().manual_seed(0)
    network.train()
    for _ in range(epochs):
        for places in torch.randperm(len(images), generator=order).split(BATCH):
            optimizer.zero_grad()
            F.cross_entropy(network(images[places]), labels[places]).backward()
            optimizer.step()

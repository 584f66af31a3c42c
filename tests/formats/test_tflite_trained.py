"""A trained network in int8: LiteRT's answers are the simulation's, on every set of kernels."""

from functools import cache

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from pocketcnn.compression.quantization import quantize
from pocketcnn.formats.tflite import to_tflite
from pocketcnn.graph import Graph, GraphNetwork, capture
from pocketcnn.layers.squeeze_excite import SqueezeExcite
from tests.support.tflite import KERNELS, run, simulated

SHAPE = (1, 8, 8)


class Digits(nn.Module):
    """What light networks are made of: depthwise, residual add, h-swish, squeeze-and-excite, concat, shuffle, pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.Hardswish())
        self.depthwise = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.BatchNorm2d(16), nn.ReLU6())
        self.gate = SqueezeExcite(16, 8)
        self.pointwise = nn.Sequential(nn.Conv2d(16, 16, 1, bias=False), nn.BatchNorm2d(16))
        self.wide = nn.Sequential(nn.Conv2d(16, 16, 3, stride=2, padding=1, groups=2), nn.ReLU())
        self.head = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.pointwise(self.gate(self.depthwise(x)))
        x = torch.cat([nn.functional.avg_pool2d(x, 2), self.wide(x)], dim=1)
        scores: Tensor = self.head(nn.functional.channel_shuffle(x, 2).mean((2, 3)))
        return scores


@cache
def digits() -> tuple[Tensor, Tensor]:
    data = load_digits()
    images = torch.from_numpy(data.images).float()[:, None] / 8 - 1
    return images, torch.from_numpy(data.target)


@cache
def trained() -> Graph:
    """In integers; above 85 % of the test digits after a few seconds."""
    torch.manual_seed(0)
    network, (images, labels) = Digits().train(), digits()
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(5):
        for rows in torch.split(torch.randperm(1200), 60):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images[rows]), labels[rows]).backward()
            optimizer.step()
    float_network = GraphNetwork(capture(network.eval(), (1, *SHAPE)))
    return quantize(float_network, images[:100], method="minmax").graph


@pytest.mark.parametrize("kernels", KERNELS)
def test_answers_agree_on_at_least_99_percent_of_unseen_images(kernels: str) -> None:
    images, labels = (part[1200:] for part in digits())
    expected = simulated(trained(), images)
    answers = run(to_tflite(trained()), images, kernels)
    assert float((expected.argmax(1) == labels).float().mean()) > 0.85, "the network has learned something"
    assert float((answers.argmax(1) == expected.argmax(1)).float().mean()) >= 0.99
    assert float((answers.argmax(1) == labels).float().mean()) > 0.85

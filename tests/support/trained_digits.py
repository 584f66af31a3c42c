"""Networks that were trained for seconds on 8x8 digits, in float and int8, for the tests of every format."""

from functools import cache

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from pocketcnn.compression.quantization import quantize
from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.layers.squeeze_excite import SqueezeExcite

SHAPE = (1, 8, 8)
SEEDS = range(3)
"""Of networks over which a share of equal answers is taken: of one, a few images in a hundred say little."""

TRAINING, BATCH, EPOCHS = 1200, 60, 10


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


def digits(*, training: bool) -> tuple[Tensor, Tensor]:
    """Images and labels."""
    data = load_digits()
    part = slice(0, TRAINING) if training else slice(TRAINING, None)
    images, labels = torch.from_numpy(data.images).float()[:, None] / 8 - 1, torch.from_numpy(data.target)
    return images[part], labels[part]


@cache
def float_digits(seed: int = 0) -> GraphNetwork:
    """Above 85 % of the test digits."""
    torch.manual_seed(seed)
    network, (images, labels) = Digits().train(), digits(training=True)
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.02, total_steps=EPOCHS * TRAINING // BATCH)
    for _ in range(EPOCHS):
        for rows in torch.split(torch.randperm(TRAINING), BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images[rows]), labels[rows]).backward()
            optimizer.step()
            schedule.step()
    return GraphNetwork(capture(network.eval(), (1, *SHAPE))).eval()


@cache
def int8_digits(seed: int = 0) -> GraphNetwork:
    return quantize(float_digits(seed), digits(training=True)[0][:100], method="minmax").eval()

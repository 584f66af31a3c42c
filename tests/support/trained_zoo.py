"""Networks of the zoo after a short training on real images: what quantization must not spoil.

The images are scikit-learn's digits, brought from 8 x 8 to the size that the network needs.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import Dataset

from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.layers import reparameterize
from pocketcnn.models import create, network_options, training_options
from pocketcnn.models.registry import registration
from pocketcnn.models.squeezenet import SqueezeNet
from pocketcnn.training import Recipe, train

TRAINED, CHOSEN, HELD_OUT = (0, 1100), (1100, 1300), (1300, 1797)
CALIBRATED = (0, 512)

SMALL: dict[str, Any] = {
    "width": 0.25,
    "total_stride": 8,
    "head_width": 64,
    "dropout": 0.0,
    "in_channels": 1,
    "classes": 10,
}
"""Narrow, for small grey images, where the network has the option; its paper's form otherwise."""

VGGS = tuple(f"vgg{depth}" for depth in (11, 13, 16, 19))
RESNETS = tuple(f"resnet{depth}" for depth in (18, 34, 50, 101))
FORMS: dict[str, dict[str, Any]] = {
    "condensenet_86": {"depth": 14},
    "shiftresnet": {"depth": 14},
    **{name: {"total_stride": 16} for name in RESNETS},
}
SIDE = 32

RECIPE = Recipe(
    epochs=6,
    batch_size=32,
    optimizer="adamw",
    learning_rate=4e-3,
    weight_decay=0.01,
    warmup_epochs=0.5,
    label_smoothing=0.0,
)
RECIPES = {
    **dict.fromkeys(("mobilenet_v3_small", "shiftresnet", "shufflenet_v1"), RECIPE.with_(epochs=4)),
    **dict.fromkeys((*RESNETS, *(f"{name}_bn" for name in VGGS)), RECIPE.with_(epochs=3, learning_rate=1e-3)),
    **dict.fromkeys(VGGS[:2], RECIPE.with_(epochs=10, learning_rate=5e-4)),
    **dict.fromkeys(VGGS[2:], RECIPE.with_(epochs=10, learning_rate=2e-4, warmup_epochs=2, gradient_clip=1.0)),
    "alexnet": RECIPE.with_(epochs=16, learning_rate=5e-4),
    **dict.fromkeys(
        ("squeezenet1_0", "squeezenet1_1"),
        RECIPE.with_(epochs=16, learning_rate=6e-4, warmup_epochs=2, gradient_clip=1.0),
    ),
    "nasnet_mobile": RECIPE.with_(epochs=8),
    "nasnet_large": RECIPE.with_(epochs=16),
    **dict.fromkeys(("condensenet_74", "condensenet_182"), RECIPE.with_(epochs=4)),
}
"""Where the usual recipe is too long or does not learn: without batch normalization the rate must be low."""


class Digits(Dataset[Any]):
    """Digits from `start` to `stop` of 1797, shuffled once, (1, side, side) from -1 to 1."""

    def __init__(self, part: tuple[int, int], side: int) -> None:
        images, labels = _digits()
        small = images[slice(*part)]
        self.images = F.interpolate(small, size=(side, side), mode="bilinear", align_corners=False)
        self.labels = labels[slice(*part)]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], int(self.labels[index])


@cache
def _digits() -> tuple[Tensor, Tensor]:
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    return torch.tensor(digits.images[order], dtype=torch.float32)[:, None] / 8 - 1, torch.tensor(digits.target[order])


@dataclass(frozen=True)
class Trained:
    """A captured network in eval mode, and the images to judge it on."""

    network: GraphNetwork
    calibration: Tensor
    held_out: Digits


def trained(name: str, side: int | None = None) -> Trained:
    """The network, trained in its paper's form for training and converted; the same every time."""
    side = side or max(SIDE, registration(name).smallest_side)
    known = network_options(name)
    options = {option: value for option, value in SMALL.items() if option in known}
    torch.manual_seed(0)
    module = create(name, **{**options, **FORMS.get(name, {}), **training_options(name)})
    if isinstance(module, SqueezeNet):  # its last layer is a ReLU: in a short training most classes would die of it
        nn.init.ones_(module.classifier.conv.bias)
    train(module, Digits(TRAINED, side), Digits(CHOSEN, side), RECIPES.get(name, RECIPE))
    network = GraphNetwork(capture(reparameterize(module), (1, 1, side, side))).eval()
    return Trained(network, Digits(CALIBRATED, side).images, Digits(HELD_OUT, side))

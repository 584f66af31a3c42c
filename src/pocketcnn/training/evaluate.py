"""Evaluation of a classifier on a labelled set, with confidence intervals."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from pocketcnn.errors import UsageError
from pocketcnn.training.batches import evaluation_loader, size_of
from pocketcnn.training.devices import choose_device, placed
from pocketcnn.vision import require_torchvision


@dataclass(frozen=True)
class Score:
    """The two figures that a training computes after each epoch."""

    loss: float  # mean cross-entropy in nats
    top1: float  # accuracy, 0 to 1
    count: int


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a classifier; all shares are from 0 to 1."""

    top1: float
    top1_interval: tuple[float, float]  # Wilson, 95 %
    top5: float | None  # None for five classes or fewer, where it is always 1
    loss: float  # mean cross-entropy in nats
    count: int
    confusion: tuple[tuple[int, ...], ...]  # [true class][predicted class]
    recall: tuple[float | None, ...]  # by class; None for a class without images


def evaluate(
    network: nn.Module, dataset: Dataset[Any], *, batch_size: int = 256, device: str = "auto", workers: int = 0
) -> Evaluation:
    """Evaluate `network` on every sample of a map-style dataset of (image (C, H, W), label).

    The network's device and the mode of each module are restored afterwards.

    Args:
        network: a classifier: (N, C, H, W) -> logits (N, classes).
        dataset: map-style.
        batch_size: images per forward pass.
        device: see `choose_device`.
        workers: processes that load images.

    Raises:
        UsageError: the set is empty, or has a label outside the network's classes.
    """
    tally = None
    where = _checked_device(dataset, device)
    with placed(network, where, training=False), torch.no_grad():
        for images, labels in evaluation_loader(dataset, batch_size, workers=workers):
            logits = network(images.to(where)).float().cpu()
            if tally is None:
                tally = _Tally(classes=logits.shape[1])
            tally.add(logits, labels)
    return cast(_Tally, tally).summary()  # the set is not empty


def predict_logits(
    network: nn.Module, dataset: Dataset[Any], *, batch_size: int = 256, device: str = "auto", workers: int = 0
) -> Tensor:
    """The logits (samples, classes) of a map-style dataset in order, float32 on the CPU.

    Raises:
        UsageError: the set is empty.
    """
    where = _checked_device(dataset, device)
    with placed(network, where, training=False), torch.no_grad():
        loader = evaluation_loader(dataset, batch_size, workers=workers)
        return torch.cat([network(images.to(where)).float().cpu() for images, _ in loader])


@torch.no_grad()
def score(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> Score:
    """Loss and accuracy over batches on the network's device; the network must be in eval mode."""
    loss = right = torch.zeros(())
    count = 0
    for images, labels in batches:
        logits = network(images).float()
        loss = loss.to(logits.device) + F.cross_entropy(logits, labels, reduction="sum")
        right = right.to(logits.device) + (logits.argmax(1) == labels).sum()
        count += len(labels)
    return Score(float(loss) / count, float(right) / count, count)


def wilson_interval(right: int, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """The confidence interval of a share observed as `right` out of `count`.

    Wilson, "Probable Inference", JASA 1927; recommended for all sizes by Brown, Cai and DasGupta, Statistical Science 2001,
    equation 4.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = right / count
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def check_labels(labels: Tensor, classes: int) -> None:
    """Raise a `UsageError` when a label (N,) lies outside 0 … classes - 1."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise UsageError(
            f"The set has labels from {low} to {high}, but the network has {classes} classes (0 to {classes - 1}). "
            "Create the network with as many classes as the set has."
        )


class _Tally:
    """Accumulates logits (N, classes) and labels (N,) batch by batch."""

    def __init__(self, classes: int) -> None:
        require_torchvision()  # torchmetrics imports it when it is installed
        from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

        self.classes = classes
        self.matrix = MulticlassConfusionMatrix(classes, validate_args=False)
        self.top5 = MulticlassAccuracy(classes, top_k=5, average="micro", validate_args=False) if classes > 5 else None
        self.loss = 0.0

    def add(self, logits: Tensor, labels: Tensor) -> None:
        check_labels(labels, self.classes)
        self.matrix.update(logits, labels)
        if self.top5 is not None:
            self.top5.update(logits, labels)
        self.loss += float(F.cross_entropy(logits, labels, reduction="sum"))

    def summary(self) -> Evaluation:
        matrix = self.matrix.compute()
        right, of_class = matrix.diagonal().tolist(), matrix.sum(dim=1).tolist()
        count = sum(of_class)
        return Evaluation(
            top1=sum(right) / count,
            top1_interval=wilson_interval(sum(right), count),
            top5=None if self.top5 is None else float(self.top5.compute()),
            loss=self.loss / count,
            count=count,
            confusion=tuple(tuple(row) for row in matrix.tolist()),
            recall=tuple(hit / n if n else None for hit, n in zip(right, of_class, strict=True)),
        )


def _checked_device(dataset: Dataset[Any], device: str) -> torch.device:
    if size_of(dataset) == 0:
        raise UsageError("There is nothing to evaluate: the set has no images.")
    return choose_device(device)

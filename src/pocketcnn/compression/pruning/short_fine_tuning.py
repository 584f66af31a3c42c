"""Short fine-tuning and its evaluation, and the selection among pruned networks by it."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, Subset, TensorDataset

from pocketcnn.graph import GraphNetwork
from pocketcnn.training import Recipe, train
from pocketcnn.training.batches import size_of
from pocketcnn.training.devices import choose_device, placed
from pocketcnn.training.evaluate import Score, score

BATCH = 128


@dataclass(frozen=True)
class HeldOutImages:
    """Held-out images (N, C, H, W) with labels (N,), kept as tensors because they are evaluated hundreds of times."""

    images: Tensor
    labels: Tensor

    @classmethod
    def of(cls, dataset: Dataset[Any], max_images: int, seed: int = 0) -> "HeldOutImages":
        """Up to `max_images` random samples of a map-style dataset."""
        samples = [dataset[index] for index in _drawn(size_of(dataset), max_images, seed)]
        return cls(torch.stack([image for image, _ in samples]), torch.tensor([int(label) for _, label in samples]))

    @property
    def dataset(self) -> Dataset[Any]:
        """The same as a map-style dataset."""
        return TensorDataset(self.images, self.labels)

    def accuracy(self, network: nn.Module, device: str = "auto") -> float:
        """Top-1 accuracy of `network`, 0 to 1; its mode and device are restored."""
        return self.score(network, device).top1

    def score(self, network: nn.Module, device: str = "auto") -> Score:
        """Accuracy and mean loss."""
        where = choose_device(device)
        parts = zip(torch.split(self.images, BATCH), torch.split(self.labels, BATCH), strict=True)
        with placed(network, where, training=False):
            return score(network, ((images.to(where), labels.to(where)) for images, labels in parts))


@dataclass(frozen=True)
class ShortFineTuner:
    """The fine-tuner of NetAdapt: a few optimizer steps on a random subset of the training images, a new one per step of the
    loop.

    All networks of a step are trained on the same images in the same order, so that they differ only in their channels.

    Attributes:
        train_set: map-style, of (image (C, H, W), label).
        held_out: validation images.
        recipe: with few epochs.
        images: size of the subset.
    """

    train_set: Dataset[Any]
    held_out: HeldOutImages
    recipe: Recipe
    images: int
    _parts: dict[int, Subset[Any]] = field(default_factory=dict, repr=False, compare=False)

    def score(self, network: nn.Module) -> Score:
        """Accuracy and loss on the held-out images."""
        return self.held_out.score(network, self.recipe.device)

    def tune(self, network: nn.Module, step: int) -> Score:
        """Train on the subset of the step; return the score of the best epoch, whose weights are kept."""
        recipe = self.recipe.with_(seed=self.recipe.seed + step)
        result = train(network, self._part(step), self.held_out.dataset, recipe)
        return Score(result.val_loss, result.val_accuracy, len(self.held_out.labels))

    def _part(self, step: int) -> Subset[Any]:
        if step not in self._parts:
            self._parts.clear()
            chosen = _drawn(size_of(self.train_set), self.images, self.recipe.seed + step)
            self._parts[step] = Subset(self.train_set, chosen)
        return self._parts[step]


def _drawn(total: int, max_images: int, seed: int) -> Sequence[int]:
    """Up to `max_images` of `total` indices, in random order."""
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    found: list[int] = order[:max_images].tolist()
    return found


def best_after_fine_tuning(
    candidates: Mapping[str, GraphNetwork], tuner: ShortFineTuner
) -> tuple[str, dict[str, Score]]:
    """The name of the candidate with the lowest validation loss after short fine-tuning, and the scores of all.

    The loss separates networks with the same accuracy on few images. Copies are trained, on the same images in the same
    order; the candidates are not changed.

    Args:
        candidates: by name, at least one, each with recalibrated batch norms.
        tuner: trains and evaluates.
    """
    scores = {name: tuner.tune(deepcopy(network), 0) for name, network in candidates.items()}
    return min(scores, key=lambda name: scores[name].loss), scores

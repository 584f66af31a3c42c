"""Fine-tuning for a short while, how good a network is after it, and the choice of the best of several pruned networks by it."""

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
    """Held-out images (N, C, H, W) with labels (N,), as tensors: they are looked at hundreds of times."""

    images: Tensor
    labels: Tensor

    @classmethod
    def of(cls, dataset: Dataset[Any], most: int, seed: int = 0) -> "HeldOutImages":
        """Up to `most` samples of a map-style dataset, drawn once."""
        samples = [dataset[index] for index in _drawn(size_of(dataset), most, seed)]
        return cls(torch.stack([image for image, _ in samples]), torch.tensor([int(label) for _, label in samples]))

    @property
    def dataset(self) -> Dataset[Any]:
        """The same as a map-style dataset."""
        return TensorDataset(self.images, self.labels)

    def accuracy(self, network: nn.Module, device: str = "auto") -> float:
        """The share that `network` gets right; its mode and place are as before afterwards."""
        return self.score(network, device).top1

    def score(self, network: nn.Module, device: str = "auto") -> Score:
        """Accuracy and mean loss."""
        where = choose_device(device)
        parts = zip(torch.split(self.images, BATCH), torch.split(self.labels, BATCH), strict=True)
        with placed(network, where, training=False):
            return score(network, ((images.to(where), labels.to(where)) for images, labels in parts))


@dataclass(frozen=True)
class ShortFineTuner:
    """The tuner of NetAdapt: some optimizer steps on a part of the training images, drawn anew for each step of the loop.

    `recipe` is one of few epochs over `images` samples of `train_set`; accuracies are of `held_out`. All networks of
    a step are tuned on the same images in the same order, so that they differ in their channels alone.
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
        """Train on the part of the images that belongs to the step; the score of the best epoch, which is kept."""
        recipe = self.recipe.with_(seed=self.recipe.seed + step)
        result = train(network, self._part(step), self.held_out.dataset, recipe)
        return Score(result.val_loss, result.val_accuracy, len(self.held_out.labels))

    def _part(self, step: int) -> Subset[Any]:
        if step not in self._parts:
            self._parts.clear()
            chosen = _drawn(size_of(self.train_set), self.images, self.recipe.seed + step)
            self._parts[step] = Subset(self.train_set, chosen)
        return self._parts[step]


def _drawn(total: int, most: int, seed: int) -> Sequence[int]:
    """Up to `most` of `total` places, in random order."""
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    found: list[int] = order[:most].tolist()
    return found


def best_after_fine_tuning(
    candidates: Mapping[str, GraphNetwork], tuner: ShortFineTuner
) -> tuple[str, dict[str, Score]]:
    """The name of the candidate that guesses with the lowest loss after a short training, and the scores of all.

    The loss, because it tells networks apart that are right on equally many of few held-out images. All train on the same
    images in the same order, copies of them: the candidates are as they were.

    Args:
        candidates: by name, at least one, each with its batch norms recalibrated.
    """
    scores = {name: tuner.tune(deepcopy(network), 0) for name, network in candidates.items()}
    return min(scores, key=lambda name: scores[name].loss), scores

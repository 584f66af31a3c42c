"""What the tests of NetAdapt and AMC share: a small network, real images, and a judge that needs no images."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import TensorDataset

from pocketcnn.compression.pruning.prune import PruneSettings
from pocketcnn.compression.pruning.resource import MADDS, Resource
from pocketcnn.compression.pruning.space import PruningSpace
from pocketcnn.graph import Graph, GraphNetwork, capture
from pocketcnn.layers import ConvNormAct, InvertedResidual
from pocketcnn.training import Recipe
from tests.support.removal import randomise

CHANNELS = PruneSettings(multiple=4, min_channels=4, floor=0.1)
SHORT = Recipe(
    epochs=1, batch_size=32, optimizer="adamw", learning_rate=1e-3, warmup_epochs=0, ema_decay=0, label_smoothing=0
)


def small_network() -> GraphNetwork:
    """An inverted residual between layers that read grey images of 8 x 8."""
    module = nn.Sequential(
        ConvNormAct(1, 16),
        InvertedResidual(16, 16, expanded=48),
        ConvNormAct(16, 32, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    )
    return GraphNetwork(capture(randomise(module), (1, 1, 8, 8)))


def small_space(graph: Graph, resource: Resource = MADDS) -> PruningSpace:
    return PruningSpace.of(graph, resource, CHANNELS)


def digits(start: int, stop: int) -> TensorDataset:
    """Digits from `start` to `stop` of 1797, shuffled once."""
    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))[start:stop]
    images = torch.tensor(found.images[order], dtype=torch.float32)[:, None] / 8 - 1
    return TensorDataset(images, torch.tensor(found.target[order]))


def capacity(space: PruningSpace) -> dict[int, float]:
    """What a made-up judge holds for the worth of each group: later groups are worth more."""
    weights = {group: 1.0 + place for place, group in enumerate(space.prunable)}
    total = sum(weights.values())
    return {group: weight / total for group, weight in weights.items()}


def made_up_accuracy(space: PruningSpace, counts: tuple[int, ...]) -> float:
    """A concave function of what each group keeps."""
    worth = capacity(space)
    return sum(worth[group] * (1 - counts[group] / space.units(group)) ** 0.5 for group in space.prunable)

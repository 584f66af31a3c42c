"""Selection after short fine-tuning: the network with the lowest loss is chosen, and the candidates stay as they were."""

import torch
from torch import nn
from torch.utils.data import TensorDataset

from pocketcnn.compression.pruning.short_fine_tuning import HeldOutImages, ShortFineTuner, best_after_fine_tuning
from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.training import Recipe, drawn_from


def network(seed: int, scale: float) -> GraphNetwork:
    with drawn_from(seed):
        module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(scale)
    return GraphNetwork(capture(module, (1, 1, 8, 8)))


def tuner(rate: float) -> ShortFineTuner:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(64) % 2
    images = torch.randn(64, 1, 8, 8, generator=generator) + labels[:, None, None, None]
    recipe = Recipe(epochs=2, batch_size=16, learning_rate=rate, warmup_epochs=0.0, ema_decay=0.0, device="cpu")
    return ShortFineTuner(TensorDataset(images, labels), HeldOutImages(images, labels), recipe, 64)


def test_the_lowest_loss_wins_and_nothing_is_changed() -> None:
    candidates = {"far off": network(0, 40.0), "near": network(0, 1.0)}
    before = {name: {k: v.clone() for k, v in net.state_dict().items()} for name, net in candidates.items()}
    name, scores = best_after_fine_tuning(candidates, tuner(0.01))
    assert name == "near"
    assert scores["near"].loss < scores["far off"].loss
    for key, candidate in candidates.items():
        assert all(torch.equal(value, before[key][place]) for place, value in candidate.state_dict().items())


def test_equal_candidates_score_alike() -> None:
    _, scores = best_after_fine_tuning({"a": network(1, 1.0), "b": network(1, 1.0)}, tuner(0.01))
    assert scores["a"] == scores["b"]

"""Which networks are trained, and one training of one of them."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.photograph_search.images import Photographs
from benchmarks.photograph_search.setting import RECIPE, ROOM, TASK, TIGHT, Setting, name_of, point_of, space
from pocketcnn.pipeline.search.point_evaluator import shortened
from pocketcnn.training import Recipe, drawn_from, evaluate, train

SHARES = (1.0, 1 / 3, 1 / 9)
"""Of the epochs, as successive halving takes them."""
LOOKED_AT = 300
"""Random networks of which a share `TIGHT` keeps the budget."""


@cache
def madds(name: str) -> int:
    """Multiply-adds of the convolutions and linear layers of a network.

    `pocketcnn.count` says the same, but captures the network: ten times as long, for the thousands of networks of the searches.
    """
    with torch.device("meta"):
        network, image = space().build(point_of(name), TASK).eval(), torch.empty(1, TASK.channels, *TASK.size)
    found = 0

    def add(module: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal found
        if isinstance(module, nn.Conv2d | nn.Linear):
            found += output.numel() * module.weight[0].numel()

    for module in network.modules():
        module.register_forward_hook(add)
    network(image)
    return found


@cache
def bound() -> int:
    """The budget in multiply-adds."""
    rng = np.random.default_rng(0)
    costs = sorted(madds(name_of(space().random(rng))) for _ in range(LOOKED_AT))
    return costs[int(TIGHT * LOOKED_AT)]


def pool(setting: Setting) -> list[str]:
    """The networks of the table: random ones up to `ROOM` times the budget, all different. More extend fewer."""
    rng, found = np.random.default_rng(1), dict[str, None]()
    while len(found) < setting.pool:
        name = name_of(space().random(rng))
        if madds(name) <= ROOM * bound():
            found[name] = None
    return list(found)


def network_of(name: str, seed: int) -> nn.Module:
    """A network with new weights."""
    with drawn_from(seed):
        return space().build(point_of(name), TASK)


def recipe_of(setting: Setting, share: float, seed: int) -> Recipe:
    """The recipe of a share of a full proxy training."""
    whole = RECIPE.with_(epochs=setting.epochs, warmup_epochs=min(1.0, setting.epochs / 10), seed=seed)
    return shortened(whole, share)


def key_of(name: str, epochs: int, seed: int) -> str:
    """The key of a training."""
    return f"{name} | {epochs} | {seed}"


def trained(name: str, share: float, seed: int, data: Photographs, setting: Setting) -> dict[str, Any]:
    """Validation accuracy, and test accuracy of a full training."""
    network, recipe = network_of(name, seed), recipe_of(setting, share, seed)
    found = {"val": train(network, data.train, data.val, recipe).val_accuracy}
    return found if share < 1 else {**found, "test": evaluate(network, data.test).top1}


def measured(
    trainings: Mapping[str, Mapping[str, float]], names: Collection[str], epochs: int, seeds: Collection[int]
) -> dict[str, list[float]]:
    """Validation accuracies of the networks after so many epochs, by name: one for each of the seeds that has run."""
    found: dict[str, list[float]] = {}
    for key, row in trainings.items():
        name, length, seed = key.split(" | ")
        if int(length) == epochs and name in names and int(seed) in seeds:
            found.setdefault(name, []).append(row["val"])
    return found

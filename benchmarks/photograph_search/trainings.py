"""Which networks are trained, and one training of one of them."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

import numpy as np
from torch import nn

from benchmarks.photograph_search.images import Photographs
from benchmarks.photograph_search.photographs import NORM, blocks
from benchmarks.photograph_search.setting import (
    CLASSES,
    RECIPE,
    ROOM,
    SIDE,
    TASK,
    TIGHT,
    Setting,
    name_of,
    point_of,
    space,
)
from pocketcnn.cost import count
from pocketcnn.nas.spaces.operations import Layer, layer
from pocketcnn.pipeline.search.point_evaluator import shortened
from pocketcnn.training import Recipe, drawn_from, evaluate, train

SHARES = (1.0, 1 / 3, 1 / 9)
"""Of the epochs, as successive halving takes them."""
LOOKED_AT = 300
"""Random networks of which a share `TIGHT` keeps the budget."""


@cache
def madds(name: str) -> int:
    """Multiply-adds of a network, layer by layer.

    `pocketcnn.count` says the same, but captures the network: too long for the thousands of networks of the searches.
    """
    point = point_of(name)
    stem, last, side = (int(point[key]) for key in ("stem.filters", "last", "stem.stride"))
    side = SIDE // side
    found = 9 * TASK.channels * stem * side**2
    kinds = blocks(point)
    for kind in kinds:
        found += layer_madds(kind, side)
        side //= kind.stride
    return found + kinds[-1].out_channels * last * side**2 + last * CLASSES


@cache
def layer_madds(kind: Layer, side: int) -> int:
    """Multiply-adds of one layer for a map of `side` x `side`."""
    return count(layer(kind, NORM), (1, kind.in_channels, side, side)).madds


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

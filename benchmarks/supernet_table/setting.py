"""The size of the benchmark, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Any

from pocketcnn.nas.supernet.plan import Stage, SupernetPlan
from pocketcnn.nas.supernet.sampling import mutated
from pocketcnn.nas.supernet.subnetwork import Subnetwork
from pocketcnn.training import Recipe

SIDE = 28
SEEDS = (0, 1, 2)
SCATTER = 0.3
"""The share of decisions that are drawn anew in each network."""


@dataclass(frozen=True)
class Setting:
    """One way to run it.

    Attributes:
        plan: the supernet.
        networks: sub-networks that are compared, the same for every seed.
        train, val, test: images of each split, drawn anew for each seed.
        supernet_steps, alone_steps, tuned_steps: optimizer steps of a supernet over all phases, of a network that is
            trained alone, and of a sub-network that is fine-tuned after it was taken.
        calibration: training images that give batch norms their statistics.
    """

    name: str
    plan: SupernetPlan
    networks: int
    train: int
    val: int
    test: int
    supernet_steps: int
    alone_steps: int
    tuned_steps: int
    calibration: int = 512

    @property
    def choices(self) -> list[Subnetwork]:
        """The sub-networks, all different.

        Each lies around one that is the same in all stages: if every decision were drawn by itself, nearly all would be of a
        middle size, as a sum of many dice is.
        """
        rng, found = Random(0), dict[Subnetwork, None]()
        plan = self.plan
        while len(found) < self.networks:
            around = [rng.choice(values) for values in (plan.sizes, plan.depths, plan.kernels, plan.expansions)]
            found[mutated(plan, plan.uniform(*around), rng, SCATTER)] = None
        return list(found)

    def recipe(self, steps: int, seed: int, **changes: Any) -> Recipe:
        """The same recipe for everything that is trained, for about that many steps."""
        epochs = max(1, round(steps / (self.train // RECIPE.batch_size)))
        return RECIPE.with_(epochs=epochs, warmup_epochs=min(1.0, epochs / 10), seed=seed, **changes)


RECIPE = Recipe(
    batch_size=50, optimizer="adamw", learning_rate=0.01, weight_decay=0.05, ema_decay=0.98, label_smoothing=0.0
)


def _plan(width: int) -> SupernetPlan:
    stages = (
        Stage(width, 2, "relu", False),
        Stage(2 * width, 1, "hardswish", True),
        Stage(3 * width, 2, "hardswish", False),
    )
    return SupernetPlan(
        in_channels=1,
        classes=10,
        stem=8,
        stem_stride=2,
        first=8,
        stages=stages,
        last=8 * width,
        head=4 * width,
        sizes=((SIDE, SIDE), (20, 20), (14, 14)),
        kernels=(3, 5, 7),
        expansions=(2, 4, 6),
        depths=(1, 2, 3),
        dropout=0.0,
    )


SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {
        "cpu": Setting("cpu", _plan(8), 32, 1500, 500, 3000, 700, 240, 45),
        "gpu": Setting("gpu", _plan(24), 100, 1500, 500, 3000, 14000, 2400, 450),
    }
)

"""How large the comparison of criteria is, as data."""

from dataclasses import dataclass
from typing import Any

from benchmarks.compression.recipes_in_steps import ADAM, in_steps
from pocketcnn.training import Recipe

SHARES = (0.7, 0.5, 0.3)
"""Of the multiply-adds that are kept."""


@dataclass(frozen=True)
class Setting:
    """The size of one run.

    Attributes:
        side: of the square images of digits.
        networks: options of each network.
        steps, recovery_steps: optimizer steps of the training from scratch and of the fine-tuning, the same for all.
        multiple: of all widths, of all methods.
    """

    name: str
    side: int
    networks: dict[str, dict[str, Any]]
    recipe: Recipe
    steps: int
    recovery_steps: int
    recovery_rate: float
    seeds: tuple[int, ...]
    multiple: int = 4

    def training(self, images: int, seed: int) -> Recipe:
        """The recipe from scratch for so many training images."""
        return in_steps(self.recipe, self.steps, images, rate=self.recipe.learning_rate, seed=seed)

    def recovery(self, images: int, seed: int) -> Recipe:
        """The recipe of the fine-tuning after pruning, with the unpruned network as the teacher."""
        return in_steps(self.recipe, self.recovery_steps, images, rate=self.recovery_rate, seed=seed)


SMALL = Setting(
    name="small",
    side=8,
    networks={
        "mobilenet_v2": {"width": 0.35, "total_stride": 4, "head_width": 128},
        "shufflenet_v2": {"width": 0.5, "total_stride": 4, "head_width": 128},
        "resnet18": {"width": 0.25, "total_stride": 4},
    },
    recipe=ADAM.with_(batch_size=64),
    steps=200,
    recovery_steps=18,
    recovery_rate=2e-3,
    seeds=(0, 1, 2),
)
"""Some minutes of one processor core for each seed."""

LARGE = Setting(
    name="large",
    side=32,
    networks={
        "mobilenet_v2": {"width": 1.0, "total_stride": 8},
        "shufflenet_v2": {"width": 1.0, "total_stride": 8},
        "resnet18": {"width": 1.0, "total_stride": 8},
    },
    recipe=ADAM.with_(batch_size=128, learning_rate=2e-3),
    steps=1500,
    recovery_steps=400,
    recovery_rate=1e-3,
    seeds=(0, 1, 2, 3, 4),
    multiple=8,
)
"""Wants a GPU."""

SETTINGS = {setting.name: setting for setting in (SMALL, LARGE)}

"""How large the comparison is, as data: a size for two processor cores, and one for a GPU."""

from dataclasses import dataclass, field
from typing import Any

from benchmarks.compression.recipes_in_steps import ADAM, in_steps
from pocketcnn.compression.pruning.amc.agent import AgentSettings
from pocketcnn.training import Recipe

DATASETS = ("digits", "mnist")
NETWORKS = ("mobilenet_v1", "mobilenet_v2", "shufflenet_v2", "resnet18")
RESOURCES = ("madds", "latency")
SHARES = (0.5, 0.3, 0.7)
"""The cheapest question first."""


@dataclass(frozen=True)
class Setting:
    """The size of one run of the grid.

    Attributes:
        side: of the square images; networks: options of each network, as `build` takes them.
        recipe: of the training from scratch; `steps` optimizer steps.
        recovery_steps, recovery_rate: of the fine-tuning that every method gets, with the unpruned network as teacher.
        short_steps, short_rate: of the short trainings inside NetAdapt; step: what its first step must save; tried: how many
            groups it trains for a step.
        contest_steps: of the short trainings that choose among spreads, at the same rate.
        episodes, warmup, agent: of AMC.
        multiple: of all widths, of all methods.
    """

    name: str
    side: int
    networks: dict[str, dict[str, Any]]
    recipe: Recipe
    steps: int
    recovery_steps: int
    recovery_rate: float
    short_steps: int
    short_rate: float
    contest_steps: int
    step: float
    tried: int | None
    episodes: int
    warmup: int
    seeds: tuple[int, ...]
    multiple: int = 4
    device: str = "cpu"
    agent: AgentSettings = field(default_factory=AgentSettings)

    def trained(self, images: int, seed: int) -> Recipe:
        """The recipe from scratch for so many training images."""
        return self._of(images, self.steps, seed, self.recipe.learning_rate)

    def recovery(self, images: int, seed: int) -> Recipe:
        """The recipe of the fine-tuning after pruning."""
        return self._of(images, self.recovery_steps, seed, self.recovery_rate)

    def short(self, images: int, seed: int) -> tuple[Recipe, int]:
        """The recipe of one short training, and on how many images it runs."""
        return self._short(images, self.short_steps, seed)

    def contest(self, images: int, seed: int) -> tuple[Recipe, int]:
        """The same for the short trainings that choose among spreads."""
        return self._short(images, self.contest_steps, seed)

    def _short(self, images: int, steps: int, seed: int) -> tuple[Recipe, int]:
        used = min(images, steps * self.recipe.batch_size)
        recipe = self._of(used, steps, seed, self.short_rate)
        return recipe.with_(warmup_epochs=0.0, ema_decay=0.0), used

    def _of(self, images: int, steps: int, seed: int, rate: float) -> Recipe:
        return in_steps(self.recipe, steps, images, rate=rate, seed=seed).with_(device=self.device)


CPU = Setting(
    name="cpu",
    side=16,
    networks={
        "mobilenet_v1": {"width": 0.25, "total_stride": 8},
        "mobilenet_v2": {"width": 0.35, "total_stride": 8, "head_width": 128},
        "shufflenet_v2": {"width": 0.5, "total_stride": 8, "head_width": 128},
        "resnet18": {"width": 0.25, "total_stride": 8},
    },
    recipe=ADAM,
    steps=500,
    recovery_steps=80,
    recovery_rate=2e-3,
    short_steps=8,
    short_rate=1e-3,
    contest_steps=24,
    step=0.1,
    tried=3,
    episodes=40,
    warmup=12,
    seeds=(0, 1, 2),
    agent=AgentSettings(hidden=64),
)
"""The whole grid in some three hours on two cores, started twice with half of the seeds or networks each."""

GPU = Setting(
    name="gpu",
    side=32,
    networks={
        "mobilenet_v1": {"width": 1.0, "total_stride": 8},
        "mobilenet_v2": {"width": 1.0, "total_stride": 8},
        "shufflenet_v2": {"width": 1.0, "total_stride": 8},
        "resnet18": {"width": 1.0, "total_stride": 8},
    },
    recipe=ADAM.with_(batch_size=128, learning_rate=2e-3),
    steps=1500,
    recovery_steps=600,
    recovery_rate=1e-3,
    short_steps=30,
    short_rate=2e-4,
    contest_steps=90,
    step=0.05,
    tried=None,
    episodes=400,
    warmup=100,
    seeds=(0, 1, 2, 3, 4),
    multiple=8,
    device="cuda",
)

SETTINGS = {setting.name: setting for setting in (CPU, GPU)}

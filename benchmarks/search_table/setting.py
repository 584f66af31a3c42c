"""How large the comparison is, as data: a size for two processor cores, and one for a GPU."""

from dataclasses import dataclass

from pocketcnn.nas.objective import ACCURACY, HARD, SOFT, Objective
from pocketcnn.training import Recipe

CONTROL = "random"
STRATEGIES = (CONTROL, "evolution", "nsga2", "halving", "nasnet", "mnasnet")
CONTROLLERS = {"nasnet": "accuracy", "mnasnet": "soft"}
"""The controllers' papers, and the reward of each."""

TASKS: dict[str, Objective] = {"accuracy": ACCURACY, "soft": SOFT}
"""What is maximized on the space with a known optimum."""

REAL = HARD
"""What is maximized on real images: accuracy within the budget."""

RECIPE = Recipe(
    batch_size=64, optimizer="adamw", learning_rate=8e-3, weight_decay=0.01, label_smoothing=0.0, ema_decay=0.99
)

AT_LATENCY = (CONTROL, "evolution", "mnasnet")
"""Strategies that search for a measured latency."""

DATASETS = ("digits", "mnist")
TIGHT = 0.4
"""The share of the points that keep the budget on real images."""


@dataclass(frozen=True)
class Setting:
    """The size of one run.

    Attributes:
        evaluations, seeds: on the space with a known optimum.
        real_evaluations, real_seeds: on real images, where every point of the space was trained once.
        side: of the square images; images: for training. epochs: of a proxy training, of which successive halving takes thirds.
        recipe: of every training; final_epochs, final_seeds: of the training in full.
        zoo: widths at which networks of the zoo are compared.
        latency_side, latency_evaluations, latency_epochs, latency_seeds, latency_final_epochs: of the searches for a measured
            latency, and of the trainings in full that follow them.
    """

    name: str
    evaluations: int
    seeds: int
    real_evaluations: int
    real_seeds: int
    side: int
    images: int
    epochs: int
    recipe: Recipe
    final_epochs: int
    final_seeds: int
    zoo: tuple[float, ...]
    latency_side: int
    latency_evaluations: int
    latency_epochs: int
    latency_seeds: int
    latency_final_epochs: int


CPU = Setting(
    name="cpu",
    evaluations=200,
    seeds=12,
    real_evaluations=24,
    real_seeds=20,
    side=12,
    images=1100,
    epochs=6,
    recipe=RECIPE,
    final_epochs=20,
    final_seeds=3,
    zoo=(0.05, 0.1, 0.15, 0.25, 0.35, 0.5, 0.75, 1.0),
    latency_side=16,
    latency_evaluations=10,
    latency_epochs=2,
    latency_seeds=2,
    latency_final_epochs=10,
)
"""About an hour on two cores."""

GPU = Setting(
    name="gpu",
    evaluations=2000,
    seeds=50,
    real_evaluations=48,
    real_seeds=100,
    side=28,
    images=4000,
    epochs=27,
    recipe=RECIPE.with_(batch_size=128),
    final_epochs=120,
    final_seeds=5,
    zoo=(0.05, 0.1, 0.15, 0.25, 0.35, 0.5, 0.75, 1.0),
    latency_side=28,
    latency_evaluations=100,
    latency_epochs=20,
    latency_seeds=5,
    latency_final_epochs=120,
)

SETTINGS = {setting.name: setting for setting in (CPU, GPU)}

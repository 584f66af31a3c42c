"""The size of the comparison, as data."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pocketcnn.nas.objective import HARD
from pocketcnn.nas.space import Point, Space, Task
from pocketcnn.nas.spaces import load_space
from pocketcnn.training import Recipe

SPACE_FILE = Path(__file__).with_name("photographs.py")
CLASSES, SIDE = 10, 32
TASK = Task(CLASSES, 3, SIDE, SIDE)

CONTROL = "random"
STRATEGIES = (CONTROL, "evolution", "nsga2", "halving", "nasnet", "mnasnet")
OBJECTIVE = HARD
"""Accuracy within the budget."""

TIGHT = 0.5
"""The share of the networks of the space that keep the budget."""
ROOM = 1.25
"""Networks are drawn for the table up to this multiple of the budget. Beyond it, the predictor says what the training points
nearest to them say, and the reward is low in any case."""

RECIPE = Recipe(
    batch_size=64, optimizer="adamw", learning_rate=8e-3, weight_decay=0.01, label_smoothing=0.0, ema_decay=0.99
)


@dataclass(frozen=True)
class Setting:
    """How much is trained and searched.

    Attributes:
        pool: networks of the table. repeated: those of them that are trained with a second seed, which tells how much a
            training varies. seeds: of the trainings.
        train, val, test: photographs of each split.
        epochs: of a full proxy training; successive halving takes a third and a ninth of them.
        budgets: numbers of evaluations of a search; 30 is the default of `search`.
        searches: seeds of the searches on the predictor.
        judged: the budget whose median finds are trained again, with other seeds.
        finals: those seeds.
        real_evaluations, real_seeds: of searches in which each evaluation is a training.
    """

    pool: int = 96
    repeated: int = 12
    seeds: tuple[int, int] = (0, 1)
    train: int = 2560
    val: int = 1000
    test: int = 2000
    epochs: int = 6
    budgets: tuple[int, ...] = (12, 30, 90)
    searches: int = 40
    judged: int = 30
    finals: tuple[int, ...] = (2, 3, 4)
    real_evaluations: int = 12
    real_seeds: tuple[int, ...] = (0, 1, 2)


SETTING = Setting()


@cache
def space() -> Space:
    """The space of photographs.py."""
    return load_space(str(SPACE_FILE))


def name_of(point: Point) -> str:
    """A point as a key of the table: the index of each choice."""
    return " ".join(map(str, space().indices(point)))


def point_of(name: str) -> Point:
    """The point of a key."""
    return space().at([int(index) for index in name.split()])

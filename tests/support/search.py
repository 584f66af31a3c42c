"""A small search space with decisions that do not always matter, and searches without networks."""

from collections.abc import Callable
from functools import cached_property

import torch
from torch import nn

from pocketcnn.nas.loop import MemoryTrialLog, run
from pocketcnn.nas.objective import ACCURACY, Objective
from pocketcnn.nas.space import Decision, Point, Space, Task
from pocketcnn.nas.strategies.base import Strategy
from pocketcnn.nas.trial import Evaluation, Finished, Proposal, Trial, finished
from pocketcnn.nas.workers import Inline


class Ladder(Space):
    """Up to three steps, each of which is high or low, and painted or not."""

    name = "ladder"

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        found = [Decision("steps", (1, 2, 3))]
        for number in (1, 2, 3):
            needs = (("steps", tuple(range(number, 4))),)
            found.append(Decision(f"step{number}.high", (False, True), needs))
            found.append(
                Decision(f"step{number}.colour", ("red", "blue", "none"), (*needs, (f"step{number}.high", (True,))))
            )
        return tuple(found)

    def build(self, point: Point, task: Task) -> nn.Module:
        conv = nn.Conv2d(task.channels, 4 * int(point["steps"]), 3, padding=1)
        return nn.Sequential(conv, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(conv.out_channels, task.classes))

    def describe(self, point: Point) -> list[str]:
        return [f"{name}: {choice}" for name, choice in point.items()]


def climb(proposal: Proposal, number: int) -> Evaluation:
    """High steps are good, blue ones better; every step costs. A short training is a little worse."""
    point = proposal.point
    high = [step for step in (1, 2, 3) if point[f"step{step}.high"]]
    blue = sum(point[f"step{step}.colour"] == "blue" for step in high)
    accuracy = 0.4 + 0.1 * len(high) + 0.05 * blue - 0.05 * (1 - proposal.training)
    return Evaluation(accuracy, 0.3 * int(point["steps"]) + 0.1 * len(high), {"macs": 10.0 * int(point["steps"])}, 0.5)


def searched(
    strategy: Strategy,
    evaluate: Callable[[Proposal, int], Evaluation],
    *,
    trials: int,
    seed: int = 0,
    objective: Objective = ACCURACY,
) -> list[Finished]:
    """The trials of a whole search in this process."""
    return finished(run(strategy, objective, Inline(evaluate), MemoryTrialLog(), trials=trials, seed=seed))


def plain(trials: list[Trial]) -> list[tuple[int, dict[str, object], float | None]]:
    """What two searches are compared by."""
    return [(trial.number, dict(trial.point), trial.reward) for trial in trials]


def all_points(space: Space) -> list[Point]:
    """All points of a small space, each once."""
    found: dict[tuple[tuple[str, object], ...], Point] = {}
    places = [range(len(decision.choices)) for decision in space.decisions]
    for combination in torch.cartesian_prod(*(torch.tensor(list(place)) for place in places)).tolist():
        point = space.at(combination)
        found[tuple(sorted(point.items()))] = point
    return list(found.values())

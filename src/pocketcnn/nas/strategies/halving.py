"""Successive halving: many points are trained briefly, the best of them longer, the best of those in full.

"Non-stochastic Best Arm Identification and Hyperparameter Optimization" (Jamieson and Talwalkar, 2016), Figure 3. With
several workers, promotions are asynchronous, as in "A System for Massively Parallel Hyperparameter Tuning" (Li et al., 2020).
"""

from dataclasses import dataclass

from pocketcnn.errors import UsageError
from pocketcnn.nas.space import Space
from pocketcnn.nas.strategies.base import Strategy
from pocketcnn.nas.trial import History, Proposal, finished


@dataclass(frozen=True)
class Rung:
    """`points` points are trained with the share `training` of the full training; the first of them is trial `first`."""

    points: int
    training: float
    first: int


def rungs(evaluations: int, factor: int = 3, count: int = 3) -> tuple[Rung, ...]:
    """Rungs that take as much training as `evaluations` full evaluations; each has `factor` times fewer points, trained
    longer.

    >>> [(rung.points, round(rung.training, 2)) for rung in rungs(18)]
    [(54, 0.11), (18, 0.33), (6, 1.0)]

    Raises:
        UsageError: there are too few evaluations for one point on the last rung.
    """
    if evaluations < 1 or factor < 2:
        raise UsageError("Successive halving needs at least one evaluation and a factor of at least 2.")
    count = min(count, evaluations)
    last = max(1, evaluations // count)
    found: list[Rung] = []
    for step in range(count):
        left = count - 1 - step
        first = found[-1].first + found[-1].points if found else 0
        found.append(Rung(last * factor**left, factor**-left, first))
    return tuple(found)


class Halving(Strategy):
    """Successive halving over random points, for a number of full evaluations."""

    name = "halving"

    def __init__(self, space: Space, evaluations: int, factor: int = 3) -> None:
        super().__init__(space)
        self.rungs = rungs(evaluations, factor)

    def trials(self, evaluations: int) -> int:  # noqa: ARG002
        return self.rungs[-1].first + self.rungs[-1].points

    def propose(self, history: History, seed: int, number: int) -> Proposal:
        index = max(index for index, rung in enumerate(self.rungs) if number >= rung.first)
        rung = self.rungs[index]
        if index == 0:
            return Proposal(self.new_point(history, self.rng(seed, number)), rung.training)
        previous = self.rungs[index - 1].training
        promoted = {trial.proposal.key for trial in history if trial.proposal.training > previous}
        promotable = [
            trial
            for trial in finished(history)
            if trial.proposal.training == previous and trial.proposal.key not in promoted
        ]
        if not promotable:  # all failed or are still running
            return Proposal(self.new_point(history, self.rng(seed, number)), rung.training)
        return Proposal(max(promotable, key=lambda trial: (trial.reward, -trial.number)).point, rung.training)

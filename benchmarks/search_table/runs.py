"""One search without networks: a strategy, what it is rewarded with, and the best that it had after each evaluation."""

from collections.abc import Callable, Sequence
from itertools import accumulate

from pocketcnn.nas.front import hypervolume
from pocketcnn.nas.loop import MemoryTrialLog, run
from pocketcnn.nas.objective import Objective
from pocketcnn.nas.space import Space
from pocketcnn.nas.strategies import strategy_config
from pocketcnn.nas.trial import Finished, finished
from pocketcnn.nas.workers import Evaluator, Inline

Score = Callable[[Finished], float | None]
"""What a trial is worth for the comparison; None if it does not count."""


def searched(
    strategy: str, space: Space, evaluate: Evaluator, objective: Objective, evaluations: int, seed: int
) -> list[Finished]:
    """The trials of a search in the order in which they ended."""
    made = strategy_config(strategy).make(space, evaluations)
    trials = run(made, objective, Inline(evaluate), MemoryTrialLog(), trials=made.trials(evaluations), seed=seed)
    return finished(trials)


def curve(trials: Sequence[Finished], score: Score, evaluations: int) -> list[float | None]:
    """The best score after 1, 2, … whole evaluations, None as long as there is none."""
    spent = accumulate(trial.proposal.training for trial in trials)
    found: list[float | None] = [None] * evaluations
    best: float | None = None
    for cost, trial in zip(spent, trials, strict=True):
        worth = score(trial) if trial.proposal.training >= 1 else None
        if worth is not None and (best is None or worth > best):
            best = worth
        place = min(evaluations, max(1, round(cost + 0.499))) - 1  # in the evaluation in which it ended
        for later in range(place, evaluations):
            found[later] = best
    return found


def area(trials: Sequence[Finished]) -> float:
    """The hyper-volume of the front of accuracy and cost, within the budget."""
    whole = [trial.evaluation for trial in trials if trial.proposal.training >= 1]
    return hypervolume((each.accuracy, each.use) for each in whole)

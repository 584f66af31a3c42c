"""Quality of a set of trials: the best so far, the Pareto front of accuracy and cost, and its hypervolume."""

from collections.abc import Iterable, Sequence

from pocketcnn.nas.trial import Finished

Pair = tuple[float, float]
"""(accuracy, use): the first is maximized, the second minimized."""


def pareto_front(pairs: Sequence[Pair]) -> list[int]:
    """The indices of the non-dominated pairs, from low to high use; of equal pairs the first."""
    order = sorted(range(len(pairs)), key=lambda index: (pairs[index][1], -pairs[index][0], index))
    front: list[int] = []
    for index in order:
        if not front or pairs[index][0] > pairs[front[-1]][0]:
            front.append(index)
    return front


def hypervolume(pairs: Iterable[Pair], max_use: float = 1.0) -> float:
    """The area dominated by the front, up to a use of `max_use`, as a share of the whole: 0 to 1.

    Zitzler and Thiele, "Multiobjective evolutionary algorithms: a comparative case study and the strength Pareto approach"
    (1999).
    """
    inside = [pair for pair in pairs if pair[1] < max_use]
    front = [inside[index] for index in pareto_front(inside)]
    if not front:
        return 0.0
    ends = [*(use for _, use in front[1:]), max_use]
    return sum(accuracy * (end - use) for (accuracy, use), end in zip(front, ends, strict=True)) / max_use


def best_so_far(rewards: Iterable[float]) -> list[float]:
    """After each trial, the highest reward so far."""
    found: list[float] = []
    for reward in rewards:
        found.append(max(reward, found[-1]) if found else reward)
    return found


def best(trials: Sequence[Finished], max_use: float = 1.0) -> Finished | None:
    """The most accurate fully trained trial that uses at most `max_use`; if there is none, the one with the least use.

    Of equally accurate trials, the one with less use. The reward only guides the search; the result is chosen by accuracy
    within the budget.
    """
    fully_trained = [trial for trial in trials if trial.proposal.training >= 1] or list(trials)
    if not fully_trained:
        return None
    kept = [trial for trial in fully_trained if trial.evaluation.use <= max_use]
    if not kept:
        return min(fully_trained, key=lambda trial: trial.evaluation.use)
    return max(kept, key=lambda trial: (trial.evaluation.accuracy, -trial.evaluation.use))

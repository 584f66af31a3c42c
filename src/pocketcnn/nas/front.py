"""How good a set of trials is: the best so far, the Pareto front of accuracy and cost, and the area that it dominates."""

from collections.abc import Iterable, Sequence

from pocketcnn.nas.trial import Finished

Pair = tuple[float, float]
"""(accuracy, use): the first is to be high, the second low."""


def pareto_front(pairs: Sequence[Pair]) -> list[int]:
    """The places of the pairs that no other beats in both, from cheap to costly; of equal ones the first."""
    order = sorted(range(len(pairs)), key=lambda place: (pairs[place][1], -pairs[place][0], place))
    front: list[int] = []
    for place in order:
        if not front or pairs[place][0] > pairs[front[-1]][0]:
            front.append(place)
    return front


def hypervolume(pairs: Iterable[Pair], most: float = 1.0) -> float:
    """The area between the front, an accuracy of 0, and a use of `most`, as a share of the whole: from 0 to 1.

    ("Multiobjective evolutionary algorithms: a comparative case study and the strength Pareto approach", Zitzler and
    Thiele, 1999.)
    """
    inside = [pair for pair in pairs if pair[1] < most]
    front = [inside[place] for place in pareto_front(inside)]
    if not front:
        return 0.0
    ends = [*(use for _, use in front[1:]), most]
    return sum(accuracy * (end - use) for (accuracy, use), end in zip(front, ends, strict=True)) / most


def best_so_far(rewards: Iterable[float]) -> list[float]:
    """After each trial the highest reward until then."""
    found: list[float] = []
    for reward in rewards:
        found.append(max(reward, found[-1]) if found else reward)
    return found


def best(trials: Sequence[Finished], most: float = 1.0) -> Finished | None:
    """The most accurate of the fully trained trials that use at most `most`; if none keeps it, the least user.

    Between equals, the one that uses less. A reward that goes on paying for less use led the search; what is asked for is the
    accuracy within the budget.
    """
    whole = [trial for trial in trials if trial.proposal.training >= 1] or list(trials)
    if not whole:
        return None
    kept = [trial for trial in whole if trial.evaluation.use <= most]
    if not kept:
        return min(whole, key=lambda trial: trial.evaluation.use)
    return max(kept, key=lambda trial: (trial.evaluation.accuracy, -trial.evaluation.use))

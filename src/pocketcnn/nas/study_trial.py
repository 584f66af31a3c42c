"""A trial of an Optuna study as one of ours, with everything checked: a study is a file that may be damaged or edited."""

from dataclasses import dataclass, field
from typing import Any

from pocketcnn.documents import as_record
from pocketcnn.errors import UsageError
from pocketcnn.nas.space import Space
from pocketcnn.nas.trial import Evaluation, Proposal, State, Trial

NUMBER, TRAINING, REWARD, NOTE, FIGURES, SECONDS = "number", "training", "reward", "note", "figures", "seconds"

LARGEST_NUMBER = 10**9


@dataclass(frozen=True)
class _Attributes:
    """The user attributes of a stored trial, under the names above."""

    number: int
    training: float
    reward: float | None = None
    note: str | None = None
    figures: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.number < LARGEST_NUMBER:
            raise ValueError(f"its number is {self.number}")
        if not 0 < self.training <= 1:
            raise ValueError(f"its share of the training is {self.training}")
        if self.seconds < 0:
            raise ValueError(f"it took {self.seconds} s")


def trial_from(stored: Any, space: Space, state: State) -> Trial:
    """The trial that Optuna's frozen trial `stored` holds.

    Args:
        stored: with parameters, user attributes and values.
        space: to which its point must belong.
        state: in which Optuna says that it is.

    Raises:
        ValueError: it does not hold a trial of a search in `space`; the message says why.
    """
    found: _Attributes = as_record(dict(stored.user_attrs), _Attributes)
    try:
        proposal = Proposal(space.check(stored.params), found.training)
    except UsageError as error:
        raise ValueError(str(error)) from error
    if state != "done":
        return Trial(found.number, proposal, state, note=found.note or "")
    return Trial(found.number, proposal, state, _evaluation(stored, found), found.reward, found.note or "")


def _evaluation(stored: Any, found: _Attributes) -> Evaluation:
    values: tuple[float, float] = as_record(list(stored.values or ()), tuple[float, float])
    accuracy, use = values
    if not 0 <= accuracy <= 1:
        raise ValueError(f"its accuracy is {accuracy}")
    if use < 0:
        raise ValueError(f"it uses {use} of the budget")
    if found.reward is None:
        raise ValueError("it has an accuracy but no reward")
    return Evaluation(accuracy, use, found.figures, found.seconds)

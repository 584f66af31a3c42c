"""The records of a search: proposals, evaluations, and the history from which strategies learn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from pocketcnn.nas.space import Key, Point, key_of

State = Literal["running", "done", "failed"]


@dataclass(frozen=True)
class Proposal:
    """A point to evaluate, and the share of the full proxy training, 0 to 1."""

    point: Point
    training: float = 1.0

    @cached_property
    def key(self) -> Key:
        """A hashable form of the point."""
        return key_of(self.point)


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation.

    Attributes:
        accuracy: on the validation images, 0 to 1.
        use: the largest used share of any limit.
        figures: costs in base units, for the record.
        seconds: duration.
    """

    accuracy: float
    use: float
    figures: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class Trial:
    """One proposal and its result. `reward` is what the search maximizes; it is set when the trial is done."""

    number: int
    proposal: Proposal
    state: State = "running"
    evaluation: Evaluation | None = None
    reward: float | None = None
    note: str = ""
    """Why it failed."""

    @property
    def point(self) -> Point:
        """The proposed point."""
        return self.proposal.point


History = Sequence[Trial]
"""Finished trials in the order in which they ended, then running ones."""


@dataclass(frozen=True)
class Finished:
    """A trial that succeeded, with all its results."""

    number: int
    proposal: Proposal
    evaluation: Evaluation
    reward: float

    @property
    def point(self) -> Point:
        """The evaluated point."""
        return self.proposal.point


def finished(history: History) -> list[Finished]:
    """The successful trials, in the order in which they ended."""
    return [
        Finished(trial.number, trial.proposal, trial.evaluation, trial.reward)
        for trial in history
        if trial.state == "done" and trial.evaluation is not None and trial.reward is not None
    ]

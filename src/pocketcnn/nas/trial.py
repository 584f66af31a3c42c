"""What a search did: proposals, what their evaluation found, and the history that strategies learn from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from pocketcnn.nas.space import Key, Point, key_of

State = Literal["running", "done", "failed"]


@dataclass(frozen=True)
class Proposal:
    """A point to evaluate, with a share of the full proxy training."""

    point: Point
    training: float = 1.0

    @cached_property
    def key(self) -> Key:
        """The point as something that can be compared and looked up."""
        return key_of(self.point)


@dataclass(frozen=True)
class Evaluation:
    """What is known of a network: its accuracy on the validation images, and the largest share of any limit that it uses.

    `figures` are what it costs in base units, for the record.
    """

    accuracy: float
    use: float
    figures: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class Trial:
    """One proposal and what became of it. `reward` is what the search maximizes; there is one where the trial is done."""

    number: int
    proposal: Proposal
    state: State = "running"
    evaluation: Evaluation | None = None
    reward: float | None = None
    note: str = ""
    """Why it failed."""

    @property
    def point(self) -> Point:
        """The point that was proposed."""
        return self.proposal.point


History = Sequence[Trial]
"""Trials that have ended, in the order in which they did; then those that still run."""


@dataclass(frozen=True)
class Finished:
    """A trial that is done, all of it known."""

    number: int
    proposal: Proposal
    evaluation: Evaluation
    reward: float

    @property
    def point(self) -> Point:
        """The point that was evaluated."""
        return self.proposal.point


def finished(history: History) -> list[Finished]:
    """The trials that are done, in the order in which they ended."""
    return [
        Finished(trial.number, trial.proposal, trial.evaluation, trial.reward)
        for trial in history
        if trial.state == "done" and trial.evaluation is not None and trial.reward is not None
    ]

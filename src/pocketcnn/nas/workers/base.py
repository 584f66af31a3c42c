"""What evaluates proposals: the same contract for this process, other processes, and other machines."""

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from pocketcnn.errors import Interrupted
from pocketcnn.nas.trial import Evaluation, Proposal

Evaluator = Callable[[Proposal, int], Evaluation]
"""Evaluates the proposal of a trial; what it raises makes the trial a failed one. Must be picklable to leave this process."""


@dataclass(frozen=True)
class Outcome:
    """What became of a trial: its evaluation, or why there is none."""

    number: int
    evaluation: Evaluation | None
    note: str = ""


class Workers(Protocol):
    """Takes proposals while some of it is `free`, and gives back outcomes in the order in which they come.

    A worker that is lost costs the trial that it had, and nothing else.
    """

    @property
    def free(self) -> int:
        """How many more proposals can be taken now."""

    def submit(self, number: int, proposal: Proposal) -> None:
        """Take the proposal of a trial."""

    def next(self) -> Outcome:
        """The next outcome; waits for it."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def outcome_of(evaluate: Evaluator, number: int, proposal: Proposal) -> Outcome:
    """Evaluate a proposal; a failure becomes an outcome with its reason, unless the user stopped the work."""
    try:
        return Outcome(number, evaluate(proposal, number))
    except Interrupted:
        raise
    except Exception as error:
        return Outcome(number, None, f"{type(error).__name__}: {error}")


class Inline:
    """One worker: this process itself."""

    def __init__(self, evaluate: Evaluator) -> None:
        self.evaluate = evaluate
        self._done: list[Outcome] = []

    @property
    def free(self) -> int:
        return 1 - len(self._done)

    def submit(self, number: int, proposal: Proposal) -> None:
        self._done.append(outcome_of(self.evaluate, number, proposal))

    def next(self) -> Outcome:
        return self._done.pop(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

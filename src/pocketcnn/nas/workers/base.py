"""The interface of workers that evaluate proposals, and the worker in this process."""

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from pocketcnn.errors import Interrupted
from pocketcnn.nas.trial import Evaluation, Proposal

Evaluator = Callable[[Proposal, int], Evaluation]
"""Evaluates the proposal of a trial. If it raises, the trial fails. It must be picklable to run in other processes."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a trial: its evaluation, or why there is none."""

    number: int
    evaluation: Evaluation | None
    note: str = ""


class Workers(Protocol):
    """Accepts proposals while some workers are `free`, and returns outcomes in the order in which they arrive.

    A lost worker costs only the trial that it was running.
    """

    @property
    def free(self) -> int:
        """How many more proposals can be submitted now."""

    def submit(self, number: int, proposal: Proposal) -> None:
        """Start the evaluation of a trial."""

    def next(self) -> Outcome:
        """Wait for the next outcome."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def outcome_of(evaluate: Evaluator, number: int, proposal: Proposal) -> Outcome:
    """Evaluate a proposal. An exception becomes a failed outcome, except when the user stopped the work."""
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

"""The loop of a search: propose, evaluate, note down, until the trials are done."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from pocketcnn.callbacks import no_op
from pocketcnn.errors import PocketcnnError
from pocketcnn.nas.objective import Objective
from pocketcnn.nas.strategies.base import Strategy
from pocketcnn.nas.trial import Trial, finished
from pocketcnn.nas.workers.base import Outcome, Workers

OnEnd = Callable[[Trial, list[Trial]], None]
"""Is told a trial that ended, and the trials of the search so far."""


class TrialLog(Protocol):
    """Where trials are kept."""

    def trials(self) -> list[Trial]:
        """All trials: those that ended in the order in which they did, then the others by number."""

    def begin(self, trial: Trial) -> None:
        """A trial that runs from now on; one of that number that ran before was cut off."""

    def end(self, trial: Trial) -> None:
        """A trial that ended."""


class MemoryTrialLog:
    """A log that is gone when the process ends."""

    def __init__(self) -> None:
        self._trials: list[Trial] = []

    def trials(self) -> list[Trial]:
        ended = [trial for trial in self._trials if trial.state != "running"]
        return ended + [trial for trial in self._trials if trial.state == "running"]

    def begin(self, trial: Trial) -> None:
        self._trials = [each for each in self._trials if each.number != trial.number] + [trial]

    def end(self, trial: Trial) -> None:
        self.begin(trial)


FIRST = 3
"""If so many trials fail and none did not, something is wrong with all of them."""


def run(
    strategy: Strategy,
    objective: Objective,
    workers: Workers,
    log: TrialLog,
    *,
    trials: int,
    seed: int,
    on_end: OnEnd = no_op,
) -> list[Trial]:
    """Run trials 0 … `trials` - 1 and return them all; those that `log` has already are not run again.

    Trials that were running when an earlier call was cut off are run anew, with the points that they had. With one worker the
    result is a function of strategy, seed and evaluations alone, however often it was cut off. A point that was evaluated
    before gets the evaluation that it had. `on_end` is told each trial that ended, and all of them.

    Raises:
        PocketcnnError: all of the first trials failed. A later failure is a failed trial: its note says why.
    """
    history = log.trials()
    begun = {trial.number for trial in history}
    cut_off = sorted((trial for trial in history if trial.state == "running"), key=lambda trial: trial.number)
    jobs: deque[Trial | int] = deque([*cut_off, *(number for number in range(trials) if number not in begun)])
    running: dict[int, Trial] = {}
    known = {(trial.proposal.key, trial.proposal.training): trial.evaluation for trial in finished(history)}

    def end(outcome: Outcome) -> None:
        ended = _ended(running.pop(outcome.number), outcome, objective)
        log.end(ended)
        if ended.evaluation is not None:
            known.setdefault((ended.proposal.key, ended.proposal.training), ended.evaluation)
        _check_not_all_failed(log.trials())
        on_end(ended, log.trials())

    while jobs or running:
        while jobs and workers.free:
            job = jobs.popleft()
            trial = job if isinstance(job, Trial) else Trial(job, strategy.propose(log.trials(), seed, job))
            log.begin(trial)
            running[trial.number] = trial
            before = known.get((trial.proposal.key, trial.proposal.training))
            if before is None:
                workers.submit(trial.number, trial.proposal)
            else:
                end(Outcome(trial.number, replace(before, seconds=0.0)))
        if running:
            end(workers.next())
    return log.trials()


def _ended(trial: Trial, outcome: Outcome, objective: Objective) -> Trial:
    found = outcome.evaluation
    if found is None:
        return replace(trial, state="failed", note=outcome.note)
    return replace(
        trial, state="done", evaluation=found, reward=objective.reward(found.accuracy, found.use), note=outcome.note
    )


def _check_not_all_failed(history: list[Trial]) -> None:
    ended = [trial for trial in history if trial.state != "running"]
    if len(ended) == FIRST and all(trial.state == "failed" for trial in ended):
        raise PocketcnnError(f"The first {FIRST} trials all failed. The last: {ended[-1].note}")

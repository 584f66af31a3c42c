"""The search loop: propose, evaluate, log, until all trials are done."""

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
"""Receives a finished trial, and all trials so far."""


class TrialLog(Protocol):
    """A log of trials."""

    def trials(self) -> list[Trial]:
        """All trials: finished ones in the order in which they ended, then the running ones by number."""

    def begin(self, trial: Trial) -> None:
        """Log that a trial starts; an earlier running trial with its number was interrupted."""

    def end(self, trial: Trial) -> None:
        """Log that a trial ended."""


class MemoryTrialLog:
    """A log in memory."""

    def __init__(self) -> None:
        self._trials: list[Trial] = []

    def trials(self) -> list[Trial]:
        ended = [trial for trial in self._trials if trial.state != "running"]
        return ended + [trial for trial in self._trials if trial.state == "running"]

    def begin(self, trial: Trial) -> None:
        self._trials = [each for each in self._trials if each.number != trial.number] + [trial]

    def end(self, trial: Trial) -> None:
        self.begin(trial)


MIN_FAILURES = 3
"""If so many trials fail before any succeeds, the search stops."""


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
    """Run trials 0 … `trials` - 1 and return all trials; those already in `log` are not repeated.

    Trials that were running when an earlier call was interrupted run again with the same points. With one worker, the result
    depends only on strategy, seed and evaluations, however often the search was interrupted. A point that was evaluated
    before reuses its evaluation.

    Args:
        strategy: proposes points.
        objective: accuracy and use -> reward.
        workers: evaluate proposals.
        log: of the trials.
        trials: total number, including those in the log.
        seed: of the strategy.
        on_end: called after each trial.

    Raises:
        PocketcnnError: the first trials all failed. A later failure only marks its trial as failed; its note says why.
    """
    history = log.trials()
    started = {trial.number for trial in history}
    interrupted = sorted((trial for trial in history if trial.state == "running"), key=lambda trial: trial.number)
    jobs: deque[Trial | int] = deque([*interrupted, *(number for number in range(trials) if number not in started)])
    running: dict[int, Trial] = {}
    evaluated = {(trial.proposal.key, trial.proposal.training): trial.evaluation for trial in finished(history)}

    def end(outcome: Outcome) -> None:
        ended = _ended(running.pop(outcome.number), outcome, objective)
        log.end(ended)
        if ended.evaluation is not None:
            evaluated.setdefault((ended.proposal.key, ended.proposal.training), ended.evaluation)
        _check_not_all_failed(log.trials())
        on_end(ended, log.trials())

    while jobs or running:
        while jobs and workers.free:
            job = jobs.popleft()
            trial = job if isinstance(job, Trial) else Trial(job, strategy.propose(log.trials(), seed, job))
            log.begin(trial)
            running[trial.number] = trial
            cached = evaluated.get((trial.proposal.key, trial.proposal.training))
            if cached is None:
                workers.submit(trial.number, trial.proposal)
            else:
                end(Outcome(trial.number, replace(cached, seconds=0.0)))
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
    if len(ended) == MIN_FAILURES and all(trial.state == "failed" for trial in ended):
        raise PocketcnnError(f"The first {MIN_FAILURES} trials all failed. The last: {ended[-1].note}")

"""Trials in an Optuna study: in a SQLite file by default, or in any Optuna storage by its URL."""

from pathlib import Path
from typing import Any

from pocketcnn.errors import MissingExtra, PocketcnnError
from pocketcnn.nas.space import Space
from pocketcnn.nas.trial import Evaluation, Proposal, Trial


def optuna_for(what: str) -> Any:
    """Import Optuna, which `what` needs.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingExtra(what, "search") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


GOALS = ("maximize", "minimize")
"""Of the two values of a trial: accuracy, and use of the budget."""

NUMBER, TRAINING, REWARD, NOTE, FIGURES, SECONDS = "number", "training", "reward", "note", "figures", "seconds"


def sqlite(path: Path) -> str:
    """The URL of a storage in a SQLite file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{path.absolute()}"


class StudyLog:
    """A trial log in an Optuna study. Only the process that runs the search writes to it.

    An interrupted trial that runs again becomes a new Optuna trial with the same number here. The older one is marked as
    failed in Optuna and ignored here.
    """

    def __init__(self, storage: str, name: str, space: Space) -> None:
        """Open the study `name`, or create it.

        Raises:
            MissingExtra: Optuna is not installed.
            PocketcnnError: the storage cannot be opened.
        """
        self._optuna = optuna_for("The log of a search")
        self._space = space
        try:
            self._storage = self._optuna.storages.get_storage(storage)
            self._optuna.create_study(storage=self._storage, study_name=name, directions=GOALS, load_if_exists=True)
        except Exception as error:
            raise PocketcnnError(f"Cannot open the search log at {storage}: {error}") from error
        self._study = self._storage.get_study_id_from_name(name)
        self._states = self._optuna.trial.TrialState
        self._distributions = {
            decision.name: self._optuna.distributions.CategoricalDistribution(decision.choices)
            for decision in space.decisions
        }
        self._ended: list[Trial] = []
        self._running: dict[int, tuple[Trial, int]] = {}  # by our number: the trial and its id in the storage
        self._read()

    def trials(self) -> list[Trial]:
        return [*self._ended, *(trial for trial, _ in self._running.values())]

    def begin(self, trial: Trial) -> None:
        self._fail_interrupted(trial.number)
        template = self._optuna.trial.create_trial(
            state=self._states.RUNNING,
            params=dict(trial.point),
            distributions=self._distributions,
            user_attrs={NUMBER: trial.number, TRAINING: trial.proposal.training},
        )
        self._running[trial.number] = (trial, self._storage.create_new_trial(self._study, template))

    def end(self, trial: Trial) -> None:
        _, trial_id = self._running.pop(trial.number)
        attrs: dict[str, object] = {NOTE: trial.note}
        found = trial.evaluation
        if found is not None:
            attrs |= {REWARD: trial.reward, FIGURES: dict(found.figures), SECONDS: found.seconds}
        for name, value in attrs.items():
            self._storage.set_trial_user_attr(trial_id, name, value)
        if found is None:
            self._storage.set_trial_state_values(trial_id, self._states.FAIL)
        else:
            self._storage.set_trial_state_values(trial_id, self._states.COMPLETE, [found.accuracy, found.use])
        self._ended.append(trial)

    def _read(self) -> None:
        """Load the trials of the storage."""
        ended = []
        for stored in self._storage.get_all_trials(self._study, deepcopy=False):
            trial = self._trial(stored)
            if stored.state == self._states.RUNNING:
                self._running[trial.number] = (trial, stored._trial_id)
            elif NOTE in stored.user_attrs:
                ended.append((stored.datetime_complete, stored.number, trial))
        self._ended = [trial for _, _, trial in sorted(ended, key=lambda each: each[:2])]

    def _fail_interrupted(self, number: int) -> None:
        """Mark an earlier, interrupted run of a trial as failed."""
        if number in self._running:
            self._storage.set_trial_state_values(self._running.pop(number)[1], self._states.FAIL)

    def _trial(self, stored: Any) -> Trial:
        attrs = stored.user_attrs
        proposal = Proposal(self._space.check(stored.params), attrs[TRAINING])
        if stored.values is None:
            running = stored.state == self._states.RUNNING
            return Trial(attrs[NUMBER], proposal, "running" if running else "failed", note=attrs.get(NOTE, ""))
        accuracy, use = stored.values
        evaluation = Evaluation(accuracy, use, attrs[FIGURES], attrs[SECONDS])
        return Trial(attrs[NUMBER], proposal, "done", evaluation, attrs[REWARD], attrs.get(NOTE, ""))

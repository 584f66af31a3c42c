"""Trials in an Optuna study: in a SQLite file by default, or in any Optuna storage by its URL."""

import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pocketcnn.errors import MissingExtra, PocketcnnError
from pocketcnn.nas.space import Space
from pocketcnn.nas.study_trial import FIGURES, NOTE, NUMBER, REWARD, SECONDS, TRAINING, trial_from
from pocketcnn.nas.trial import State, Trial


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


ADVICE = "Move it away to start the search again, or put back an undamaged copy."

SQLITE, SQLITE_START = "sqlite:///", b"SQLite format 3\0"
"""The beginning of the URL of such a storage, and that of its file."""

GOALS = ("maximize", "minimize")
"""Of the two values of a trial: accuracy, and use of the budget."""


def sqlite(path: Path) -> str:
    """The URL of a storage in a SQLite file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return f"{SQLITE}{path.absolute()}"


class StudyLog:
    """A trial log in an Optuna study. Only the process that runs the search writes to it.

    An interrupted trial that runs again becomes a new Optuna trial with the same number here. The older one is marked as
    failed in Optuna and ignored here.
    """

    def __init__(self, storage: str, name: str, space: Space) -> None:
        """Open the study `name`, or create it.

        Raises:
            MissingExtra: Optuna is not installed.
            PocketcnnError: the storage cannot be opened or is damaged, or the study is one of another search.
        """
        self._optuna = optuna_for("The log of a search")
        self._space, self._url = space, storage
        _check_sqlite(storage)
        try:
            self._storage = self._optuna.storages.get_storage(storage)
            self._optuna.create_study(storage=self._storage, study_name=name, directions=GOALS, load_if_exists=True)
            self._study = self._storage.get_study_id_from_name(name)
            stored = self._storage.get_all_trials(self._study, deepcopy=False)
        except Exception as error:  # of Optuna, of its database, or of what is decoded from a damaged one
            raise PocketcnnError(f"Cannot read the search log at {storage}: {_first_line(error)}. {ADVICE}") from error
        self._states = self._optuna.trial.TrialState
        self._distributions = {
            decision.name: self._optuna.distributions.CategoricalDistribution(decision.choices)
            for decision in space.decisions
        }
        self._ended: list[Trial] = []
        self._running: dict[int, tuple[Trial, int]] = {}  # by our number: the trial and its id in the storage
        try:
            self._take(stored)
        except ValueError as error:
            raise PocketcnnError(f"The search log at {storage} is damaged: {error}. {ADVICE}") from error

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
        with self._writing():
            self._running[trial.number] = (trial, self._storage.create_new_trial(self._study, template))

    def end(self, trial: Trial) -> None:
        _, trial_id = self._running.pop(trial.number)
        attrs: dict[str, object] = {NOTE: trial.note}
        found = trial.evaluation
        if found is not None:
            attrs |= {REWARD: trial.reward, FIGURES: dict(found.figures), SECONDS: found.seconds}
        with self._writing():
            for name, value in attrs.items():
                self._storage.set_trial_user_attr(trial_id, name, value)
            if found is None:
                self._storage.set_trial_state_values(trial_id, self._states.FAIL)
            else:
                self._storage.set_trial_state_values(trial_id, self._states.COMPLETE, [found.accuracy, found.use])
        self._ended.append(trial)

    def _take(self, stored: Sequence[Any]) -> None:
        """Take over the trials that the storage holds.

        Raises:
            ValueError: one of them is not a trial of this search, or two have one number.
        """
        ended: list[tuple[datetime, int, Trial]] = []
        for each in stored:
            if each.state != self._states.RUNNING and NOTE not in each.user_attrs:
                continue  # it was interrupted, and ran again under another entry
            try:
                trial = trial_from(each, self._space, self._state_of(each))
            except ValueError as error:
                raise ValueError(f"of its entry {each.number}, {error}") from error
            if trial.number in self._running or any(trial.number == other.number for _, _, other in ended):
                raise ValueError(f"it has trial {trial.number} twice")
            if trial.state == "running":
                self._running[trial.number] = (trial, each._trial_id)
            else:
                ended.append((each.datetime_complete or datetime.max, each.number, trial))
        self._ended = [trial for _, _, trial in sorted(ended, key=lambda each: each[:2])]

    def _state_of(self, stored: Any) -> State:
        """
        Raises:
            ValueError: it is in a state that no trial of ours has.
        """
        states: dict[Any, State] = {
            self._states.RUNNING: "running",
            self._states.COMPLETE: "done",
            self._states.FAIL: "failed",
        }
        if stored.state not in states:
            raise ValueError(f"its state is {stored.state.name}")
        return states[stored.state]

    def _fail_interrupted(self, number: int) -> None:
        """Mark an earlier, interrupted run of a trial as failed."""
        if number in self._running:
            with self._writing():
                self._storage.set_trial_state_values(self._running.pop(number)[1], self._states.FAIL)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Turn any error of Optuna or its database into a message."""
        try:
            yield
        except Exception as error:
            raise PocketcnnError(f"Cannot write to the search log at {self._url}: {_first_line(error)}.") from error


def _check_sqlite(storage: str) -> None:
    """Check that a file which is there is a database: SQLite takes a file of a few bytes for a new one, and overwrites it.

    Raises:
        PocketcnnError: it is not.
    """
    path = Path(storage.removeprefix(SQLITE))
    if storage.startswith(SQLITE) and path.is_file():
        with path.open("rb") as file:
            start = file.read(len(SQLITE_START))
        if start not in (b"", SQLITE_START):
            raise PocketcnnError(f"The search log at {storage} is damaged: it is not a SQLite database. {ADVICE}")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")

"""The loop of a search: it goes on where it was cut off, and loses no more than the trial that a lost worker had."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from pocketcnn.errors import Interrupted, PocketcnnError, UsageError
from pocketcnn.nas.loop import MemoryTrialLog, TrialLog, run
from pocketcnn.nas.objective import SOFT
from pocketcnn.nas.strategies import strategy_config
from pocketcnn.nas.study import StudyLog, sqlite
from pocketcnn.nas.trial import Evaluation, Proposal, Trial
from pocketcnn.nas.workers import Evaluator, Inline, Processes, workers_for
from tests.support.search import Ladder, climb, plain


def search(evaluate: Evaluator, log: TrialLog, trials: int = 12, name: str = "evolution") -> list[Trial]:
    strategy = strategy_config(name).make(Ladder(), trials)
    return run(strategy, SOFT, Inline(evaluate), log, trials=trials, seed=5)


def stopping_at(place: int) -> Evaluator:
    """Ctrl-C in the middle of a trial, this one or the first after it that is not known already."""

    def evaluate(proposal: Proposal, number: int) -> Evaluation:
        if number >= place:
            raise Interrupted("stopped")
        return climb(proposal, number)

    return evaluate


@pytest.mark.parametrize("name", ["evolution", "mnasnet"])
def test_a_search_that_was_cut_off_goes_on_as_if_it_had_not_been(name: str, tmp_path: Path) -> None:
    whole = search(climb, MemoryTrialLog(), name=name)
    storage = sqlite(tmp_path / "search.db")
    for place in (0, 7):
        with pytest.raises(Interrupted):
            search(stopping_at(place), StudyLog(storage, name, Ladder()), name=name)
        *ended, cut_off = StudyLog(storage, name, Ladder()).trials()
        assert len(ended) >= place
        assert {trial.state for trial in ended} <= {"done"}
        assert cut_off.state == "running"
    log = StudyLog(storage, name, Ladder())
    assert plain(search(climb, log, name=name)) == plain(whole)
    assert StudyLog(storage, name, Ladder()).trials() == log.trials()
    assert search(stopping_at(0), log, name=name) == log.trials()  # nothing is left to do


def test_a_study_keeps_all_that_is_known_of_a_trial(tmp_path: Path) -> None:
    storage = sqlite(tmp_path / "deep" / "search.db")
    search(climb, StudyLog(storage, "one", Ladder()), trials=4)
    assert StudyLog(storage, "two", Ladder()).trials() == []
    read = StudyLog(storage, "one", Ladder()).trials()
    assert read[0].evaluation == climb(read[0].proposal, 0)
    assert read[0].reward == SOFT.reward(read[0].evaluation.accuracy, read[0].evaluation.use)
    import optuna

    study = optuna.load_study(study_name="one", storage=storage)
    assert [trial.values[0] for trial in study.trials] == [
        trial.evaluation.accuracy for trial in read if trial.evaluation
    ]
    assert study.best_trials
    with pytest.raises(PocketcnnError, match="Cannot read the search log"):
        StudyLog(f"sqlite:///{tmp_path}", "one", Ladder())


def test_a_failed_evaluation_is_a_failed_trial_unless_all_fail(tmp_path: Path) -> None:
    def fragile(proposal: Proposal, number: int) -> Evaluation:
        if number in (1, 2):
            raise ValueError(f"trial {number} broke")
        return climb(proposal, number)

    storage = sqlite(tmp_path / "search.db")
    trials = search(fragile, StudyLog(storage, "a", Ladder()), trials=8)
    assert [trial.number for trial in trials if trial.state == "failed"] == [1, 2]
    assert trials[1].note == "ValueError: trial 1 broke"
    assert plain(StudyLog(storage, "a", Ladder()).trials()) == plain(trials)

    def broken(proposal: Proposal, number: int) -> Evaluation:
        raise ValueError("no such thing")

    with pytest.raises(PocketcnnError, match=r"The first 3 trials all failed\. The last: ValueError: no such thing"):
        search(broken, MemoryTrialLog())


def test_a_point_is_evaluated_once(tmp_path: Path) -> None:
    seen: list[Proposal] = []

    def counting(proposal: Proposal, number: int) -> Evaluation:
        seen.append(proposal)
        return climb(proposal, number)

    trials = search(counting, MemoryTrialLog(), trials=60, name="mnasnet")
    assert len(trials) == 60
    keys = [tuple(sorted(proposal.point.items())) for proposal in seen]
    assert len(keys) == len(set(keys)) < 60
    assert sum(trial.evaluation.seconds == 0 for trial in trials if trial.evaluation) == 60 - len(seen)


def slow_climb(proposal: Proposal, number: int) -> Evaluation:
    """What workers of other processes do; one that is to be killed waits for that."""
    if number == 2:
        Path(os.environ["POCKETCNN_TEST_VICTIM"]).write_text(str(os.getpid()))
        time.sleep(60)
    return climb(proposal, number)


def deadly(proposal: Proposal, number: int) -> Evaluation:
    os.kill(os.getpid(), signal.SIGKILL)
    return climb(proposal, number)


def kill_who_wrote(victim: Path) -> None:
    while not (victim.is_file() and victim.read_text()):
        time.sleep(0.01)
    os.kill(int(victim.read_text()), signal.SIGKILL)


def test_a_killed_worker_costs_its_trial_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim = tmp_path / "victim"
    monkeypatch.setenv("POCKETCNN_TEST_VICTIM", str(victim))
    threading.Thread(target=kill_who_wrote, args=(victim,), daemon=True).start()
    storage = sqlite(tmp_path / "search.db")
    strategy = strategy_config("random").make(Ladder(), 8)
    with workers_for(slow_climb, 2) as workers:
        trials = run(strategy, SOFT, workers, StudyLog(storage, "a", Ladder()), trials=8, seed=0)
        assert isinstance(workers, Processes)
        assert int(victim.read_text()) not in [process.pid for process in workers.processes]
    assert sorted(trial.number for trial in trials) == list(range(8))
    (lost,) = [trial for trial in trials if trial.state != "done"]
    assert (lost.number, lost.state, lost.note) == (2, "failed", "its worker was lost (exit code -9)")
    for trial in trials:
        if trial.evaluation:
            assert trial.evaluation.accuracy == climb(trial.proposal, trial.number).accuracy
    assert not workers.processes


@pytest.mark.slow
def test_workers_that_all_die_end_the_search() -> None:
    strategy = strategy_config("random").make(Ladder(), 8)
    with workers_for(deadly, 2) as workers, pytest.raises(PocketcnnError, match=r"lost|failed"):
        run(strategy, SOFT, workers, MemoryTrialLog(), trials=8, seed=0)


def test_workers_need_a_number_and_something_that_can_travel() -> None:
    with pytest.raises(UsageError, match="at least one worker, not 0"):
        workers_for(climb, 0)
    with pytest.raises(UsageError, match="cannot be pickled for other processes"):
        workers_for(stopping_at(1), 2)

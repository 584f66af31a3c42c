"""Trials on a Ray cluster of this machine, one of whose workers is lost. Wants the extra `ray`."""

import os
import sys

import pytest

from pocketcnn.errors import MissingExtra
from pocketcnn.nas.loop import MemoryTrialLog, run
from pocketcnn.nas.objective import SOFT
from pocketcnn.nas.strategies import strategy_config
from pocketcnn.nas.trial import Evaluation, Proposal
from pocketcnn.nas.workers import workers_for
from tests.support.search import Ladder, climb


def fragile(proposal: Proposal, number: int) -> Evaluation:
    """The worker of trial 2 dies."""
    if number == 2:
        os._exit(1)
    return climb(proposal, number)


def test_a_cluster_wants_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pocketcnn\[ray\]'"):
        workers_for(climb, 2, "local")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_lost_worker_of_a_cluster_costs_its_trial_only(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # where the workers find this module
    strategy = strategy_config("random").make(Ladder(), 8)
    with workers_for(fragile, 2, "local") as workers:
        trials = run(strategy, SOFT, workers, MemoryTrialLog(), trials=8, seed=0)
    assert sorted(trial.number for trial in trials) == list(range(8))
    (lost,) = [trial for trial in trials if trial.state != "done"]
    assert lost.number == 2
    assert lost.note.startswith("its worker was lost (")
    for trial in trials:
        if trial.evaluation:
            assert trial.evaluation == climb(trial.proposal, trial.number)

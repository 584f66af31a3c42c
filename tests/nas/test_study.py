"""The study of a search as a file that was damaged or edited: it says so, and never with the error of a library."""

import sqlite3
from pathlib import Path
from random import Random

import pytest

from pocketcnn.errors import PocketcnnError
from pocketcnn.nas.loop import run
from pocketcnn.nas.objective import SOFT
from pocketcnn.nas.strategies import strategy_config
from pocketcnn.nas.study import StudyLog, sqlite
from pocketcnn.nas.trial import Trial
from pocketcnn.nas.workers import Inline
from tests.support.search import Ladder, climb

TRIALS = 5


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("study") / "search.db"
    log = StudyLog(sqlite(path), "ladder", Ladder())
    run(strategy_config("random").make(Ladder(), TRIALS), SOFT, Inline(climb), log, trials=TRIALS, seed=1)
    return path.read_bytes()


def opened(path: Path) -> list[Trial]:
    return StudyLog(sqlite(path), "ladder", Ladder()).trials()


EDITS = {
    "accuracy above 1": "UPDATE trial_values SET value = 3 WHERE objective = 0 AND trial_id = 2",
    "negative use": "UPDATE trial_values SET value = -1 WHERE objective = 1 AND trial_id = 2",
    "no number": "DELETE FROM trial_user_attributes WHERE key = 'number' AND trial_id = 2",
    "a number that is a text": "UPDATE trial_user_attributes SET value_json = '\"x\"' WHERE key = 'number' AND trial_id = 2",
    "two trials of one number": "UPDATE trial_user_attributes SET value_json = '0' WHERE key = 'number'",
    "a number beyond all": "UPDATE trial_user_attributes SET value_json = '10000000000' WHERE key = 'number' AND trial_id = 2",
    "training of nothing": "UPDATE trial_user_attributes SET value_json = '0.0' WHERE key = 'training'",
    "no training": "DELETE FROM trial_user_attributes WHERE key = 'training'",
    "reward that is no number": "UPDATE trial_user_attributes SET value_json = '\"good\"' WHERE key = 'reward'",
    "no reward": "DELETE FROM trial_user_attributes WHERE key = 'reward' AND trial_id = 3",
    "figures that are a list": "UPDATE trial_user_attributes SET value_json = '[1]' WHERE key = 'figures'",
    "broken JSON": "UPDATE trial_user_attributes SET value_json = '{' WHERE key = 'note'",
    "another decision": "UPDATE trial_params SET param_name = 'floors' WHERE param_name = 'steps' AND trial_id = 2",
    "a choice that is none": "UPDATE trial_params SET param_value = 77 WHERE param_name = 'steps' AND trial_id = 2",
    "a missing decision": "DELETE FROM trial_params WHERE param_name = 'steps' AND trial_id = 2",
    "broken distribution": "UPDATE trial_params SET distribution_json = '{}' WHERE trial_id = 2",
    "unknown state": "UPDATE trials SET state = 'RESTING' WHERE trial_id = 2",
    "no values": "DROP TABLE trial_values",
    "one value": "DELETE FROM trial_values WHERE objective = 1",
    "an infinite value": "UPDATE trial_values SET value_type = 'INF_POS', value = NULL WHERE objective = 1 AND trial_id = 2",
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edited_study_is_an_error_that_names_it(tmp_path: Path, written: bytes, edit: str) -> None:
    path = tmp_path / "search.db"
    path.write_bytes(written)
    connection = sqlite3.connect(path)
    with connection:
        assert connection.execute(edit).rowcount != 0
    connection.close()
    with pytest.raises(PocketcnnError, match=r"search log at .*search\.db.*Move it away"):
        opened(path)


def test_a_cut_off_study_is_an_error(tmp_path: Path, written: bytes) -> None:
    for number, length in enumerate((1, 100, 4096, len(written) // 2)):
        path = tmp_path / f"{number}.db"
        path.write_bytes(written[:length])
        with pytest.raises(PocketcnnError, match=rf"search log at .*{number}\.db.*Move it away"):
            opened(path)


def test_a_study_with_changed_bytes_is_read_or_refused(tmp_path: Path, written: bytes) -> None:
    random, refused = Random(0), 0
    for number in range(40):
        content = bytearray(written)
        for _ in range(random.choice((1, 8, 64))):
            content[random.randrange(len(content))] = random.randrange(256)
        path = tmp_path / f"{number}.db"
        path.write_bytes(content)
        try:
            trials = opened(path)
        except PocketcnnError:
            refused += 1
        else:
            assert all(trial.evaluation is None or 0 <= trial.evaluation.accuracy <= 1 for trial in trials)
    assert refused


def test_what_cannot_be_written_is_an_error(tmp_path: Path, written: bytes) -> None:
    path = tmp_path / "search.db"
    path.write_bytes(written)
    log = StudyLog(sqlite(path), "ladder", Ladder())
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("DROP TABLE trial_user_attributes")
    connection.close()
    with pytest.raises(PocketcnnError, match=r"Cannot write to the search log at .*search\.db"):
        run(strategy_config("random").make(Ladder(), 9), SOFT, Inline(climb), log, trials=9, seed=1)

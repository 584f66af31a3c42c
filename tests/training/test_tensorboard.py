import importlib.util
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pocketcnn.training import EpochRecord, train
from pocketcnn.training.tensorboard import ScalarLog, scalar_log
from tests.support.training import QUICK, Digits, Notes, small_net

RECORD = EpochRecord(epoch=1, loss=1.0, learning_rate=0.1, val_loss=1.0, val_accuracy=0.5, seconds=1.0)


def test_what_it_logs_is_the_history_also_after_a_resume(tmp_path: Path) -> None:
    for resume, stop in ((False, 1), (True, None)):
        result = train(small_net(), Digits(0, 64), Digits(64, 96), QUICK, out=tmp_path, resume=resume, stop_after=stop)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    logged = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    assert set(logged) == {"loss/train", "loss/val", "accuracy/val", "learning_rate", "seconds"}
    assert logged["accuracy/val"] == [(r.epoch, pytest.approx(r.val_accuracy)) for r in result.history]
    assert logged["loss/train"] == [(r.epoch, pytest.approx(r.loss)) for r in result.history]


def test_without_tensorboard_there_is_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    train(small_net(), Digits(0, 64), Digits(64, 96), QUICK.with_(epochs=1), out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]


def test_without_a_folder_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    train(small_net(), Digits(0, 64), Digits(64, 96), QUICK.with_(epochs=1))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_stops_the_log_and_not_the_training() -> None:
    class Full:
        def add_scalar(self, *_args: Any) -> None:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            raise AssertionError("a log that was given up is not used again")

    notes = Notes()
    log = ScalarLog(Full(), notes)
    log.epoch(RECORD)
    log.epoch(RECORD)
    log.close()
    assert notes.notes == ["The TensorBoard log stops here: No space left on device."]


def test_a_folder_that_cannot_be_made_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("in the way")
    notes = Notes()
    with scalar_log(tmp_path, notes, first_epoch=1) as log:
        log.epoch(RECORD)
    assert notes.notes[0].startswith("There is no TensorBoard log")

"""Interrupted anywhere and resumed, a training ends with the same bits as one that ran through."""

import errno
import os
from pathlib import Path

import pytest
from torch import nn

from pocketcnn.errors import Interrupted, PocketcnnError, UsageError
from pocketcnn.training import Progress, Recipe, TrainResult, train
from pocketcnn.training.checkpoint import checkpoints
from tests.support.training import QUICK, Crash, CtrlC, Digits, Notes, course, same_weights, small_net

TRAIN, VAL = Digits(0, 161, noise=0.2), Digits(161, 240)  # 161 = 5 * 32 + 1: the lone last sample is left out
STEPS = 5


def run(
    network: nn.Module,
    out: Path | None,
    recipe: Recipe = QUICK,
    *,
    resume: bool = False,
    progress: Progress | None = None,
    every: float = 1e9,
    stop_after: int | None = None,
    teacher: nn.Module | None = None,
) -> TrainResult:
    return train(
        network,
        TRAIN,
        VAL,
        recipe,
        out=out,
        resume=resume,
        progress=progress,
        checkpoint_seconds=every,
        stop_after=stop_after,
        teacher=teacher,
    )


def through(recipe: Recipe = QUICK, teacher: nn.Module | None = None) -> tuple[nn.Module, TrainResult]:
    network = small_net()
    return network, run(network, None, recipe, teacher=teacher)


@pytest.mark.parametrize(
    "recipe",
    [
        QUICK,
        QUICK.with_(optimizer="sgd", ema_decay=0.0, gradient_clip=1.0),
        QUICK.with_(optimizer="rmsprop", learning_rate=0.002, mixup_alpha=0.2, cutmix_alpha=1.0),
    ],
    ids=["adamw, EMA", "sgd, clipped", "rmsprop, mixed"],
)
@pytest.mark.parametrize("after", [2, 7, 10])
def test_ctrl_c_in_mid_epoch(tmp_path: Path, recipe: Recipe, after: int) -> None:
    expected, result = through(recipe)
    with pytest.raises(Interrupted, match=r"step \d+\. Resume with .* --resume") as caught:
        run(small_net(), tmp_path, recipe, progress=CtrlC(after))
    assert caught.value.exit_code == 130
    again = small_net(seed=9)  # other initial weights: all must come from the checkpoint
    resumed = run(again, tmp_path, recipe, resume=True)
    assert same_weights(again, expected)
    assert course(resumed) == course(result)
    assert resumed.finished
    assert resumed.steps == 3 * STEPS


def test_ctrl_c_again_and_again(tmp_path: Path) -> None:
    expected, result = through()
    network = small_net()
    with pytest.raises(Interrupted):
        run(network, tmp_path, progress=CtrlC(3))
    for _ in range(3):
        with pytest.raises(Interrupted):
            run(network, tmp_path, resume=True, progress=CtrlC(3))
    assert course(run(network, tmp_path, resume=True)) == course(result)
    assert same_weights(network, expected)


def test_with_worker_processes(tmp_path: Path) -> None:
    expected, result = through()
    helped = QUICK.with_(workers=2)
    network = small_net()
    with pytest.raises(Interrupted):
        run(network, tmp_path, helped, progress=CtrlC(7))
    assert course(run(network, tmp_path, helped, resume=True)) == course(result)
    assert same_weights(network, expected)


def test_with_a_teacher(tmp_path: Path) -> None:
    expected, result = through(teacher=small_net(5))
    network = small_net()
    with pytest.raises(Interrupted):
        run(network, tmp_path, progress=CtrlC(7), teacher=small_net(5))
    assert course(run(network, tmp_path, resume=True, teacher=small_net(5))) == course(result)
    assert same_weights(network, expected)


@pytest.mark.parametrize("lost", [0, 1])
def test_a_crash_goes_back_to_a_checkpoint(tmp_path: Path, lost: int) -> None:
    """Also when the newest checkpoint is lost: the steps after the one before are repeated exactly."""
    expected, result = through()
    with pytest.raises(RuntimeError, match="crash"):
        run(small_net(), tmp_path, progress=Crash(8), every=0)
    for path in checkpoints(tmp_path / "checkpoints")[:lost]:
        path.write_bytes(path.read_bytes()[:1000])
    notes = Notes()
    network = small_net()
    assert course(run(network, tmp_path, resume=True, progress=notes)) == course(result)
    assert same_weights(network, expected)
    assert ("damaged" in notes.notes[0]) == bool(lost)
    assert f"Resuming after epoch 1 of 3, step {7 - lost}" in notes.notes[0]


def test_stopping_after_each_epoch(tmp_path: Path) -> None:
    """As successive halving does: the schedule is that of the whole recipe."""
    expected, result = through()
    network = small_net()
    for epoch in (1, 2, 3):
        part = run(network, tmp_path, resume=epoch > 1, stop_after=epoch)
        assert course(part) == course(result)[:epoch]
        assert part.finished == (epoch == 3)
    assert same_weights(network, expected)


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    expected, result = through()
    run(small_net(), tmp_path)
    again, notes = small_net(seed=9), Notes()
    assert course(run(again, tmp_path, resume=True, progress=notes)) == course(result)
    assert same_weights(again, expected)
    assert notes.losses == []


def test_a_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="No checkpoint was saved yet"):
        run(small_net(), tmp_path, progress=CtrlC(3, times=2))
    assert checkpoints(tmp_path / "checkpoints") == []


def test_ctrl_c_without_a_folder_says_that_nothing_is_saved() -> None:
    with pytest.raises(Interrupted, match=r"epoch 1 of 3\. Nothing was saved"):
        run(small_net(), None, progress=CtrlC(3))


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, result = through()
    sync, calls = os.fsync, iter(range(100))

    def full_from_the_eighth(handle: int) -> None:
        if next(calls) >= 7:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(handle)

    monkeypatch.setattr(os, "fsync", full_from_the_eighth)
    with pytest.raises(PocketcnnError, match="disk is full"):
        run(small_net(), tmp_path, every=0)
    monkeypatch.setattr(os, "fsync", sync)
    network = small_net()
    assert course(run(network, tmp_path, resume=True)) == course(result)
    assert same_weights(network, expected)


def test_another_training_is_not_resumed(tmp_path: Path) -> None:
    run(small_net(), tmp_path, stop_after=1)
    with pytest.raises(UsageError, match=r"epochs was 3 and is 5; learning_rate was 0\.01 and is 0\.1"):
        run(small_net(), tmp_path, QUICK.with_(epochs=5, learning_rate=0.1), resume=True)
    with pytest.raises(UsageError, match="another network"):
        run(small_net(classes=11), tmp_path, resume=True)
    with pytest.raises(UsageError, match="the number of teachers was 0 and is 1"):
        run(small_net(), tmp_path, resume=True, teacher=small_net())
    with pytest.raises(UsageError, match=r"images was \[161, 79\] and is \[160, 79\]"):
        train(small_net(), Digits(0, 160), VAL, QUICK, out=tmp_path, resume=True)


def test_a_training_is_not_overwritten(tmp_path: Path) -> None:
    run(small_net(), tmp_path, stop_after=1)
    with pytest.raises(UsageError, match="already holds a training"):
        run(small_net(), tmp_path)


def test_resuming_where_nothing_is_starts(tmp_path: Path) -> None:
    notes, network = Notes(), small_net()
    run(network, tmp_path, resume=True, progress=notes)
    assert "starts from the beginning" in notes.notes[0]
    assert same_weights(network, through()[0])
    with pytest.raises(UsageError, match="pass the folder"):
        run(small_net(), None, resume=True)

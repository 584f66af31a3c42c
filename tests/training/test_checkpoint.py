import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.training.checkpoint import checkpoints, load_newest, save_checkpoint

STATE: dict[str, Any] = {"weights": torch.arange(2000.0), "history": [{"loss": 0.5}], "name": "x", "none": None}


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 12, STATE)
    loaded = load_newest(tmp_path)
    assert loaded is not None
    assert torch.equal(loaded.state["weights"], STATE["weights"])
    assert {name: loaded.state[name] for name in ("history", "name", "none")} == {
        "history": [{"loss": 0.5}],
        "name": "x",
        "none": None,
    }


def test_the_two_newest_are_kept(tmp_path: Path) -> None:
    for step in (1, 5, 30, 200):
        save_checkpoint(tmp_path, step, STATE)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-000000200.pt", "step-000000030.pt"]
    assert len(list(tmp_path.iterdir())) == 2


def test_no_folder_and_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert load_newest(tmp_path) is None
    assert load_newest(tmp_path / "none") is None


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "truncated":
        data = data[: len(data) // 2]
    elif how == "empty":
        data = bytearray()
    elif how == "a flipped bit":
        data[data.index(torch.tensor(1000.0).numpy().tobytes())] ^= 1
    elif how == "another file":
        data = bytearray(b"PNG" * 1000)
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["truncated", "empty", "a flipped bit", "another file"])
def test_a_damaged_one_is_put_aside_and_the_one_before_used(tmp_path: Path, how: str) -> None:
    save_checkpoint(tmp_path, 1, STATE)
    newest = save_checkpoint(tmp_path, 2, STATE)
    damage(newest, how)
    loaded = load_newest(tmp_path)
    assert loaded is not None
    assert loaded.path.name == "step-000000001.pt"
    assert [path.name for path in loaded.damaged] == ["step-000000002.damaged"]
    assert not newest.exists()


def test_when_all_are_damaged_it_says_so(tmp_path: Path) -> None:
    for step in (1, 2):
        damage(save_checkpoint(tmp_path, step, STATE), "truncated")
    with pytest.raises(PocketcnnError, match=r"No checkpoint in .* can be read: step-000000002.pt \(.+\); step-00"):
        load_newest(tmp_path)
    assert len(checkpoints(tmp_path)) == 2  # nothing is moved when nothing can be used instead


class Hostile:
    def __reduce__(self) -> Any:
        return os.mkdir, ("hostile-code-was-run",)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"format": 1, "x": Hostile()}, tmp_path / "step-000000001.pt")
    with pytest.raises(PocketcnnError, match="No checkpoint"):
        load_newest(tmp_path)
    assert not (tmp_path / "hostile-code-was-run").exists()


def test_a_later_format_is_refused_and_left(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, 1, {**STATE, "format": 99})
    with pytest.raises(UsageError, match="later version"):
        load_newest(tmp_path)
    assert path.exists()


def test_a_full_disk_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path, 1, STATE)

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PocketcnnError, match="disk is full"):
        save_checkpoint(tmp_path, 2, STATE)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001.pt"]
    assert load_newest(tmp_path) is not None

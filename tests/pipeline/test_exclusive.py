"""One process for each folder of results: a second one ends before it works, and what a killed one left is no obstacle."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import pocketcnn as pc
from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.pipeline.exclusive import LOCK_FILE, FolderInUse, exclusive
from tests.support.cli import invoke

HOLD = """
import sys
from pathlib import Path
from pocketcnn.pipeline.exclusive import exclusive
with exclusive(Path(sys.argv[1])):
    print("inside", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_by_another(folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "inside\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    "verb",
    [
        ("fit", "{data}", "--budget", "size<=60kB"),
        ("train", "{data}", "--network", "mobilenet_v2"),
        ("train", "{data}", "--network", "mobilenet_v2", "--resume"),
        ("compress", "{model}", "{data}", "--budget", "size<=20kB"),
        ("search", "{data}", "--budget", "size<=60kB", "--strategy", "random"),
        ("search", "{data}", "--budget", "size<=60kB", "--strategy", "once-for-all"),
    ],
    ids=lambda verb: " ".join(verb[-2:]) if verb[0] in ("search", "train") else verb[0],
)
def test_the_second_run_is_refused_before_it_works(
    verb: tuple[str, ...], digits: Path, small_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with held_by_another(out) as process:
        before = sorted(path.name for path in out.iterdir())
        words = [word.format(data=digits, model=small_model) for word in verb]
        result = invoke(*words, "--out", out)
        assert result.exit_code == 1, result.stderr
        told = " ".join(result.stderr.split())
        assert f"Another run (process {process.pid} on" in told
        assert "choose another folder (--out)" in told
        assert sorted(path.name for path in out.iterdir()) == before == [LOCK_FILE]


@pytest.fixture(scope="module")
def small_model(digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    pc.train_folder(digits, "mobilenet_v2", out, width=0.1, recipe=pc.Recipe(epochs=1))
    return out / "model.safetensors"


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    with held_by_another(tmp_path) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert (tmp_path / LOCK_FILE).exists()
        with exclusive(tmp_path):
            assert f"process {os.getpid()} on" in (tmp_path / LOCK_FILE).read_text()
    assert not (tmp_path / LOCK_FILE).exists()


@pytest.mark.parametrize("text", ["", "process 1 on here", "\0\0", "{"])
def test_a_lock_file_that_nobody_holds_is_no_obstacle(text: str, tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_text(text)
    with exclusive(tmp_path):
        pass


def test_it_is_released_whatever_happens_inside(tmp_path: Path) -> None:
    for error in (KeyboardInterrupt, UsageError("wrong"), ValueError("a bug")):
        with pytest.raises(type(error) if isinstance(error, Exception) else error), exclusive(tmp_path):
            raise error
    with exclusive(tmp_path), pytest.raises(FolderInUse), exclusive(tmp_path):
        pass  # not twice in one process either
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_at_once_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        pc.fit(tmp_path / "absent", "size<=60kB", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PocketcnnError, match="Cannot write to"), exclusive(tmp_path / "out"):
        pass

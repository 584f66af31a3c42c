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
from pocketcnn.pipeline.exclusive import LOCK_FILE, FolderInUse, exclusive, exclusive_file
from tests.support.cli import commands, invoke

HOLD = """
import sys
from pathlib import Path
from pocketcnn.pipeline import exclusive
with getattr(exclusive, sys.argv[2])(Path(sys.argv[1])):
    print("inside", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_by_another(place: Path, lock: str = "exclusive") -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(place), lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "inside\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


FOLDERS = [
    "fit {data} --budget size<=60kB",
    "train {data} --network mobilenet_v2",
    "train {data} --network mobilenet_v2 --resume",
    "compress {model} {data} --budget size<=20kB",
    "search {data} --budget size<=60kB --strategy random",
    "search {data} --budget size<=60kB --strategy once-for-all",
]
"""Verbs with a folder of results."""

FILES = {
    "target check {model} --target dsp-npu --substitute": ("adapted.safetensors", "exclusive_beside"),
    "target check {model} --target dsp-npu --substitute --data {data}": ("adapted.safetensors", "exclusive_beside"),
    "target profile onnxruntime-cpu --seconds 1": ("table.json", "exclusive_file"),
    "export {model}": ("model.onnx", "exclusive_file"),
}
"""Verbs with a file of results that takes long, is continued, or has companions; its name, and how it is locked."""

AT_ONCE = {"data digits", "bench", "inspect", "target calibrate"}
"""Verbs whose only output is written at their end, whole: see `pocketcnn.files`."""

OUTPUTS = {"out", "html", "diagram"}
"""Parameters for the results of a verb."""


def test_every_verb_that_writes_is_among_them() -> None:
    writing = {verb for verb, command in commands() if OUTPUTS & {str(parameter.name) for parameter in command.params}}
    tested = {line.split(" --")[0].split(" {")[0].removesuffix(" onnxruntime-cpu") for line in (*FOLDERS, *FILES)}
    assert writing == tested | AT_ONCE
    assert not tested & AT_ONCE


def refused(line: str, out: Path, process: subprocess.Popen[str], data: Path, model: Path) -> str:
    """What the second run is told. Nothing may have been written."""
    before = sorted(path.name for path in out.parent.rglob("*"))
    result = invoke(*line.format(data=data, model=model).split(), "--out", out)
    assert result.exit_code == 1, result.stderr
    told = " ".join(result.stderr.split())
    assert f"Another run (process {process.pid} on" in told
    assert sorted(path.name for path in out.parent.rglob("*")) == before
    return told


@pytest.mark.parametrize("line", FOLDERS)
def test_the_second_run_is_refused_before_it_works(line: str, digits: Path, small_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with held_by_another(out) as process:
        assert "choose another folder (--out)" in refused(line, out, process, digits, small_model)
        assert sorted(path.name for path in out.iterdir()) == [LOCK_FILE]


@pytest.mark.parametrize("line", FILES)
def test_the_second_run_on_a_file_is_refused_before_it_works(
    line: str, digits: Path, small_model: Path, tmp_path: Path
) -> None:
    name, lock = FILES[line]
    out = tmp_path / "out" / name
    with held_by_another(out, lock) as process:
        assert "choose another" in refused(line, out, process, digits, small_model)


def test_two_files_in_one_folder_are_no_obstacle_to_each_other(tmp_path: Path) -> None:
    with exclusive_file(tmp_path / "a.onnx"), exclusive_file(tmp_path / "b.onnx"):
        pass
    assert list(tmp_path.iterdir()) == []


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

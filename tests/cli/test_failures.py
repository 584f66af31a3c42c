"""What the user reads, and the exit code, when something goes wrong."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from pocketcnn.cli.failures import DEBUG, Verbs
from pocketcnn.errors import BudgetNotMet, Interrupted, MissingExtra, PocketcnnError, UsageError
from pocketcnn.files import write_text
from tests.support.cli import write_digits


def raised(error: BaseException) -> Result:
    """A program with verbs, one of which raises `error`."""
    app = typer.Typer(cls=Verbs, rich_markup_mode=None, pretty_exceptions_enable=False)

    @app.command()
    def verb() -> None:
        raise error

    @app.command()
    def other() -> None: ...

    return CliRunner().invoke(app, ["verb"])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PocketcnnError("The reason."), 1),
        (UsageError("The reason."), 2),
        (BudgetNotMet("The reason."), 3),
        (Interrupted("The reason."), 130),
    ],
)
def test_an_error_for_people_is_its_message_and_its_code(error: PocketcnnError, code: int) -> None:
    result = raised(error)
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", "The reason.\n")


def test_a_missing_extra_says_what_installs_it() -> None:
    result = raised(MissingExtra("The thing", "samples"))
    assert result.exit_code == 2
    assert "pip install 'pocketcnn[samples]'" in result.stderr


def test_ctrl_c_anywhere_ends_with_130() -> None:
    result = raised(KeyboardInterrupt())
    assert (result.exit_code, result.stderr) == (130, "Stopped.\n")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "photo.png"), "Cannot use photo.png: permission denied.\n"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a.onnx"), "Cannot use a.onnx: there is no such file.\n"),
        (OSError(errno.ENOSPC, "No space left on device"), "System error: No space left on device.\n"),
    ],
)
def test_what_the_system_refuses_is_a_message(error: OSError, message: str) -> None:
    result = raised(error)
    assert (result.exit_code, result.stderr) == (1, message)


def test_a_defect_keeps_its_traceback() -> None:
    result = raised(ZeroDivisionError("a defect"))
    assert isinstance(result.exception, ZeroDivisionError)


def test_the_traceback_is_there_for_those_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DEBUG, "1")
    result = raised(UsageError("The reason."))
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("The reason.\n")


def test_a_full_disk_is_told_and_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "result.json"
    path.write_text("old")

    def no_space(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", no_space)
    with pytest.raises(PocketcnnError) as caught:
        write_text(path, "new")
    assert raised(caught.value).stderr == (
        f"Cannot write {path}: the disk is full. Free some space and run the same command again.\n"
    )
    assert path.read_text() == "old"
    assert [child.name for child in tmp_path.iterdir()] == ["result.json"]


def test_a_reader_that_has_gone_ends_the_program_quietly() -> None:
    code = (
        "import sys, pocketcnn.cli.models as m\n"
        "sys.stdin.read()\n"  # until the reader has gone
        "m.describe_model = lambda name, *_, **__: {'name': name, 'params': 1, 'madds': 1, 'options': {}, 'paper': 'x' * 9999}\n"
        "from pocketcnn.cli.app import main\n"
        "sys.argv = ['pocketcnn', 'models']\n"
        "main()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stdin.close()
    message = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), message) == (141, b"")


def test_a_name_that_the_encoding_of_the_stream_lacks_is_written_with_escapes(tmp_path: Path) -> None:
    folder = write_digits(tmp_path / "data", classes=2, each=4)
    (folder / "one").rename(folder / "möbel")
    done = subprocess.run(
        [sys.executable, "-m", "pocketcnn", "data", "check", str(folder)],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"m\\xf6bel" in done.stdout

"""The searches that docs/search.md shows at a small setting: each is killed in the middle, and the same command ends it."""

import json
import re
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pocketcnn.nas.strategies import OPTIONS_READ
from pocketcnn.nas.study import StudyLog  # noqa: F401 - the extra that all of these need
from pocketcnn.records.search_result import SearchResult

PAGE = (Path(__file__).parents[2] / "docs" / "search.md").read_text(encoding="utf-8")
SMALL = PAGE.partition("## Small searches")[2].partition("\n## ")[0]
COMMANDS = re.findall(r"^pocketcnn (search .*)$", SMALL, flags=re.MULTILINE)
KILLED_AFTER = 3
"""Lines that tell of progress, then the program is killed."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with the digits in it."""
    place = tmp_path_factory.mktemp("searches")
    subprocess.run([sys.executable, "-m", "pocketcnn", "data", "digits", "--out", "digits"], cwd=place, check=True)
    return place


def test_the_page_has_a_line_for_every_strategy() -> None:
    strategies = {re.findall(r"--strategy (\S+)", command)[0] for command in COMMANDS}
    assert strategies == set(OPTIONS_READ)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.partition("--strategy ")[2].split()[0])
def test_a_killed_search_is_ended_by_the_same_command(command: str, folder: Path) -> None:
    words = [sys.executable, "-W", "error", "-m", "pocketcnn", *shlex.split(command)]
    out = folder / re.findall(r"--out (\S+)", command)[0]
    killed = subprocess.Popen(words, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert killed.stderr is not None
    lines = [line for line, _ in zip(killed.stderr, range(3 * KILLED_AFTER), strict=False)]
    killed.send_signal(signal.SIGKILL)
    reader = threading.Thread(target=killed.stderr.read, daemon=True)
    reader.start()
    assert killed.wait() == -signal.SIGKILL, lines
    reader.join()
    killed.stderr.close()
    assert not (out / "result.json").exists()
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads((out / "result.json").read_text())
    assert result["met"]
    assert result["artefact"]["accuracy"]["top1"] > 0.5  # ten classes, after very little training
    if "once-for-all" not in command:
        search = SearchResult.model_validate_json((out / "search.json").read_text())
        assert search.state == "done"
        numbers = sorted(trial.number for trial in search.searched.trials)
        assert numbers == list(range(len(numbers)))
        begun = [line for line in lines if ", trial 0:" in line]
        assert ", trial 0:" not in done.stderr.partition("random")[0] or not begun  # what had ended was not run again

"""Every command and the Python of docs/compress.md run as they stand there, with less training."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pocketcnn.graph.model_file import load

PAGE = (Path(__file__).parents[2] / "docs" / "compress.md").read_text()
QUICKER = {"compress": ["--effort", "quick"], "train": ["--epochs", "2"]}


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    return str(found)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_command_works_in_the_order_of_the_page(tmp_path: Path) -> None:
    for line in block("sh").splitlines():
        words = shlex.split(line)[1:]
        run = [sys.executable, "-W", "error", "-m", "pocketcnn", *words, *QUICKER.get(words[0], [])]
        done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    given = load(tmp_path / "run" / "model.safetensors")
    for name in (
        "smaller/model.safetensors",
        "smallest/model.safetensors",
        "stored/model.safetensors",
        "small.safetensors",
    ):
        assert load(tmp_path / name).info.classes == given.info.classes
    assert (tmp_path / "stored" / "model.safetensors").stat().st_size <= 40_000


def test_the_python_works() -> None:
    done = subprocess.run([sys.executable, "-c", block("python")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 0.4 < float(done.stdout) <= 0.5

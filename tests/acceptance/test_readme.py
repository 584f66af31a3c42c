"""Every command and every line of Python that the README shows is run as it stands there, on a few images.

`fit` and `compress` get ``--effort quick`` and `train` a narrow network and few epochs: what is shown is that the commands work,
not how good a network becomes.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from sklearn.datasets import load_digits

README = (Path(__file__).parents[2] / "README.md").read_text()
QUICKER = {
    "fit": ["--effort", "quick"],
    "compress": ["--effort", "quick"],
    "search": ["--effort", "quick", "--trials", "2", "--epochs", "1", "--width", "0.1", "--no-control"],
    "train": ["--width", "0.25", "--epochs", "2"],
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[str]:
    """What follows `pocketcnn` in each command, in the order of the page."""
    lines = [line.removeprefix("$ ") for block in blocks("console") + blocks("sh") for line in block.splitlines()]
    return [line.partition("#")[0].strip() for line in lines if line.startswith("pocketcnn ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with `photos` and `picture.png` in it."""
    place = tmp_path_factory.mktemp("readme")
    data = load_digits()
    for label in (0, 1, 4):
        (place / "photos" / str(label)).mkdir(parents=True)
        for index in (data.target == label).nonzero()[0][:40]:
            picture = Image.fromarray((data.images[index] * 15).astype("uint8"))
            picture.save(place / "photos" / str(label) / f"{index}.png")
    picture.save(place / "picture.png")
    return place


def test_the_page_shows_every_verb() -> None:
    shown = {shlex.split(command)[1] for command in commands()}
    assert shown >= {
        "models",
        "inspect",
        "train",
        "eval",
        "predict",
        "compress",
        "export",
        "bench",
        "fit",
        "search",
        "doctor",
    }


@pytest.mark.timeout(900)
def test_every_command_works_in_the_order_of_the_page(folder: Path) -> None:
    for command in commands():
        words = shlex.split(command)[1:]
        run = [sys.executable, "-W", "error", "-m", "pocketcnn", *words, *QUICKER.get(words[0], [])]
        done = subprocess.run(run, cwd=folder, capture_output=True, text=True, check=False)
        # 3: a busy machine may miss a millisecond, and that is no fault of the command
        allowed = (0, 3) if words[0] == "fit" else (0,)
        assert done.returncode in allowed, f"{command}\n{done.stdout}\n{done.stderr}"
    assert (folder / "fitted" / "model.onnx").stat().st_size <= 60_000
    assert (folder / "smaller" / "report.html").is_file()


def test_the_python_works(folder: Path) -> None:
    (code,) = blocks("python")
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0
    assert (folder / "small.safetensors").is_file()


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    targets = re.findall(r"^make (\w+)", "\n".join(blocks("sh")), flags=re.MULTILINE)
    assert targets == ["demo", "test"]
    assert all(re.search(rf"^{target}:", makefile, flags=re.MULTILINE) for target in targets)

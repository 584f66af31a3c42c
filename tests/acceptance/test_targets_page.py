"""Every command of docs/targets.md runs as it stands there, its own target included; what it says of the shipped ones is so."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pocketcnn.cli.app import app
from pocketcnn.targets import Target, list_targets, load_target
from pocketcnn.targets.units import format_bytes

PAGE = (Path(__file__).parents[2] / "docs" / "targets.md").read_text()
QUICKER = {
    "train": ["--epochs", "2", "--width", "0.1"],
    "target calibrate": ["--seconds", "0.05"],
    "target profile": ["--seconds", "0.5", "--numerics", "float32"],
    "target check trained/model.safetensors": ["--epochs", "1"],
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.mark.timeout(900)
def test_every_command_works_in_the_order_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (own,) = blocks("toml")
    (tmp_path / "my-board.toml").write_text(own)
    for line in "".join(blocks("sh")).splitlines():
        words = shlex.split(line)[1:]
        for start, more in QUICKER.items():
            if " ".join(words).startswith(start):
                words += more
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, f"{line}\n{done.stdout}\n{done.stderr}\n{done.exception!r}"
    assert (tmp_path / "made_over.safetensors").is_file()


def rows() -> dict[str, list[str]]:
    """The cells of the table of shipped targets, by name."""
    found = {}
    for line in re.findall(r"^\| `.*\|$", PAGE.partition("## What is shipped")[2].partition("\n## ")[0], re.MULTILINE):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        for name in re.findall(r"`([\w-]+)`", cells[0]):
            found[name] = cells
    return found


def memory(target: Target) -> str:
    sizes = [format_bytes(size) for size in (target.ram, target.storage) if size]
    return ", ".join(sizes) or "not limited"


def test_the_table_tells_what_the_files_say() -> None:
    table = rows()
    assert set(table) == set(list_targets())
    for name, cells in table.items():
        target = load_target(name)
        assert (cells[1] == "no") == (target.runtime is None)
        assert cells[2] == ", ".join(target.numerics)
        assert cells[3] == memory(target)

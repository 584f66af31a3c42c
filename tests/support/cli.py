"""What the tests of the command line share."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from PIL import Image
from sklearn.datasets import load_digits
from typer.testing import CliRunner, Result

from pocketcnn.cli.app import app


def invoke(*arguments: object) -> Result:
    """Run the command line in this process; `stdout` and `stderr` are kept apart."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def succeed(*arguments: object) -> Result:
    """The same, where success is expected."""
    result = invoke(*arguments)
    assert result.exit_code == 0, f"{result.stderr}\n{result.exception!r}"
    return result


def fail(code: int, *arguments: object) -> str:
    """Run a command that must end with exit code `code` and a message; returns the message."""
    result = invoke(*arguments)
    assert result.exit_code == code, f"{result.stderr}\n{result.exception!r}"
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr


def document(*arguments: object) -> Any:
    """The JSON that a command prints: all that stands on standard output must be one document."""
    return json.loads(succeed(*arguments, "--json").stdout)


def write_digits(root: Path, classes: int = 3, each: int = 30) -> Path:
    """A small folder of real digits: ROOT/zero/*.png, …"""
    images, labels = load_digits(return_X_y=True)
    for label, name in enumerate(("zero", "one", "two", "three")[:classes]):
        (root / name).mkdir(parents=True)
        for number, pixels in enumerate(images[labels == label][:each]):
            picture = Image.fromarray((pixels.reshape(8, 8) * 255 / 16).round().astype("uint8"))
            picture.save(root / name / f"{number:03d}.png")
    return root


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every verb with its command."""
    for name, command in (group or typer.main.get_command(app)).commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command

"""Every number has bounds, wherever it is written: on the command line, in a recipe, in a space, among a network's options."""

from pathlib import Path
from typing import Any

import pytest
import typer

import pocketcnn as pc
from pocketcnn.cli.app import app
from pocketcnn.errors import UsageError
from pocketcnn.models import network_options
from pocketcnn.nas.spaces import load_space
from tests.support.cli import fail


def numbers() -> list[tuple[str, str, str]]:
    """(verb, option, kind) of every option that is a number."""
    found = []

    def walk(group: Any, path: tuple[str, ...]) -> None:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                walk(command, (*path, name))
                continue
            for parameter in command.params:
                kind = parameter.type_descriptor.annotation
                if kind in (int, float):
                    found.append((" ".join((*path, name)), parameter.opts[0], kind.__name__))

    walk(typer.main.get_command(app), ())
    return found


REQUIRED = {
    "train": ["data", "--network", "mobilenet_v2", "--out", "out"],
    "fit": ["data", "--budget", "size<=1MB", "--out", "out"],
    "search": ["data", "--budget", "size<=1MB", "--out", "out"],
    "compress": ["model", "data", "--budget", "size<=1MB", "--out", "out"],
    "eval": ["model", "data"],
    "predict": ["model", "image.png"],
    "data check": ["data"],
    "bench": ["mobilenet_v2"],
    "inspect": ["mobilenet_v2"],
    "target check": ["mobilenet_v2", "--target", "dsp-npu"],
    "target layers": ["mobilenet_v2"],
    "target predict": ["mobilenet_v2", "--target", "onnxruntime-cpu"],
    "target profile": ["onnxruntime-cpu"],
    "target calibrate": ["onnxruntime-cpu"],
}


@pytest.mark.parametrize(("verb", "option", "kind"), numbers())
def test_a_number_on_the_command_line_has_bounds(
    verb: str, option: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for value in ("-1" * (kind == "int") or "-1.5", "9" * 30, *(["nan", "inf", "1e30"] if kind == "float" else [])):
        told = fail(2, *verb.split(), *REQUIRED.get(verb, []), f"{option}={value}")
        assert option.strip("-") in told
        assert "no folder" not in told
        assert "Unknown network" not in told
    assert list(tmp_path.iterdir()) == []


def test_there_are_such_options() -> None:
    assert len(numbers()) >= 25


@pytest.mark.parametrize("value", [-1, 2**31, 10**30, 1e30, float("nan"), True, "8", None, 0.5])
@pytest.mark.parametrize("field", ["stem", "last", "filters", "layers", "kernel"])
def test_a_number_of_a_space_has_bounds(field: str, value: object, tmp_path: Path) -> None:
    shown = {True: "true", None: '"x"'}.get(value, repr(value)) if not isinstance(value, str) else f'"{value}"'  # type: ignore[call-overload]
    given = {"stem": "8", "last": "16", "filters": "8", "layers": "1", "kernel": "3", field: shown}
    text = "\n".join(f"{name} = {given[name]}" for name in ("stem", "last"))
    text += "\n[[block]]\n" + "\n".join(f"{name} = {given[name]}" for name in ("filters", "layers", "kernel"))
    path = tmp_path / "space.toml"
    path.write_text(text + "\n")
    with pytest.raises(UsageError, match=field):
        load_space(str(path))


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18", "shufflenet_v2", "squeezenet1_1", "nasnet_mobile"])
@pytest.mark.parametrize("value", [10**30, 2**31, -(2**31), float("inf"), 1e300])
def test_an_option_of_a_network_has_bounds(name: str, value: float) -> None:
    for option, default in network_options(name).items():
        if isinstance(default, int | float) and not isinstance(default, bool):
            with pytest.raises(UsageError, match=option):
                pc.create(name, **{option: value})
    with pytest.raises(UsageError, match="classes"):
        pc.create(name, classes=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("field", ["epochs", "batch_size", "workers"])
def test_a_count_of_a_recipe_has_bounds(field: str) -> None:
    for value in (-1, 10**9, 10**30):
        with pytest.raises(UsageError, match=field):
            pc.Recipe().with_(**{field: value})


def test_a_python_space_is_not_executed_from_the_data_folder(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    for name in ("cat", "dog"):
        (tmp_path / "data" / name).mkdir(parents=True)
    space = tmp_path / "data" / "space.py"
    space.write_text(f"open({str(ran)!r}, 'w')")
    with pytest.raises(UsageError, match=r"lies in the data folder|has no class folders"):
        pc.search(tmp_path / "data", "macs<=1M", tmp_path / "out", space=str(space), strategy="random")
    assert not ran.exists()

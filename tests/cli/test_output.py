"""Results on standard output, as tables or one JSON document."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from pocketcnn.cli.output import Output
from pocketcnn.files import plain
from pocketcnn.graph import InputContract


@dataclass
class Point:
    x: float
    name: str


def test_every_kind_of_result_has_a_form_in_json() -> None:
    contract = InputContract(height=2, width=3, mean=(0, 0, 0), std=(1, 1, 1))
    value = {"a": (Point(1.5, "p"),), "b": Path("c/d"), "e": None, "f": True, "g": contract, 1: float("nan")}
    found = json.loads(json.dumps(plain(value), allow_nan=False))
    assert found["a"] == [{"x": 1.5, "name": "p"}]
    assert (found["b"], found["e"], found["f"], found["1"]) == ("c/d", None, True, None)
    assert InputContract.model_validate(found["g"]) == contract


def test_what_has_no_form_in_json_is_a_defect_and_says_so() -> None:
    with pytest.raises(TypeError, match="object"):
        plain({"a": object()})


def test_with_json_nothing_but_the_document_is_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(as_json=True)
    output.print("for people")
    output.table(("a", ">b"), [(1, 2)])
    output.say("by the way")
    output.json({"a": [1]})
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"a": [1]}
    assert captured.err == "by the way\n"


def test_a_piped_table_is_neither_cut_nor_coloured_nor_padded(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 300
    Output().table(("name", ">count"), [(long, 1), ("[red]y[/red] :smile:", 200)], title="Title")
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "",
        "Title",
        f"{'name':300}  count",
        f"{long}      1",
        f"{'[red]y[/red] :smile:':300}    200",
    ]


def test_a_long_line_is_not_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    Output().print("word " * 100)
    assert capsys.readouterr().out.count("\n") == 1

"""`pocketcnn search`, with as little training as there can be: what it finds out is tested elsewhere."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pocketcnn.cost import count
from pocketcnn.graph.model_file import load
from pocketcnn.records.result import FitResult
from tests.support.cli import document, fail, succeed

BUDGET = "macs<=20M"


@pytest.mark.usefixtures("_little_effort")
def test_search_leaves_its_files_and_prints_the_result(digits: Path, tmp_path: Path) -> None:
    out = tmp_path / "found"
    command = ("search", digits, "--budget", BUDGET, "--out", out, "--strategy", "nsga2", "--trials", 3)
    command += ("--space", "scaling:mobilenet_v1", "--epochs", 1, "--no-control", "--warm-start", "synflow")
    result = succeed(*command, "--json")
    printed = json.loads(result.stdout)
    assert printed == json.loads((out / "result.json").read_text())
    assert FitResult.model_validate(printed).met
    names = {path.name for path in out.iterdir()}
    assert names == {"model.onnx", "model.json", "model.safetensors", "report.html", "result.json", "stages.csv"} | {
        "predict.py", "search.html", "search.json", "search.db", "network.toml",
    }  # fmt: skip
    stage = load(out / "model.safetensors").info.lineage[0]
    assert stage.settings["strategy"] == "nsga2"
    record = json.loads((out / "search.json").read_text())
    assert record["command"].startswith(f"pocketcnn search {digits} --no-control --budget 'macs<=20M' --out {out} ")
    assert len(record["searched"]["trials"]) == 3
    assert "Warm start: the first 1 points are the best by synflow of 10 times as many random points" in result.stderr
    assert "nsga2 3 of 3, trial 2: " in result.stderr
    assert "Final training of trial" in result.stderr
    _the_network_file_can_be_trained_and_inspected(out / "network.toml", digits, json.loads(result.stdout))


def _the_network_file_can_be_trained_and_inspected(path: Path, digits: Path, found: dict[str, Any]) -> None:
    counted = document("inspect", path, "--input", "1x8x8", "--classes", 3)
    assert counted["cost"]["madds"] == found["stages"][0]["madds"]
    out = path.parent / "again"
    assert document("train", digits, "--network", path, "--epochs", 1, "--out", out)["network"] == str(path)
    assert count(load(out / "model.safetensors")).madds == counted["cost"]["madds"]
    assert "network.toml sets the width" in fail(2, "train", digits, "--network", path, "--width", 0.5, "--out", out)
    assert "Cannot read the point absent.toml" in fail(2, "train", digits, "--network", "absent.toml", "--out", out)


def test_once_for_all_is_a_strategy_of_search(digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def once_for_all(data: Path, budget: str, out: Path, **options: Any) -> SimpleNamespace:
        given.update(options, data=data, budget=budget, out=out)
        return SimpleNamespace(results=["the result"])

    monkeypatch.setattr("pocketcnn.pipeline.search.once_for_all.once_for_all", once_for_all)
    monkeypatch.setattr(
        "pocketcnn.cli.search.conclude", lambda output, result, out, **_: output.print(f"{result} in {out}")
    )
    command = ("search", digits, "--budget", BUDGET, "--out", tmp_path, "--strategy", "once-for-all", "--seed", 4)
    assert succeed(*command).stdout == f"the result in {tmp_path}\n"
    assert (given["data"].path, given["budget"], given["out"], given["seed"]) == (digits, BUDGET, tmp_path, 4)
    assert given["effort"] == "low"


def test_mistakes_end_with_2(digits: Path, tmp_path: Path) -> None:
    command = ("search", digits, "--out", tmp_path / "out", "--budget")
    assert "a search has none" in fail(2, *command, "macs<=50%")
    told = fail(2, *command, BUDGET, "--strategy", "genius")
    assert "choose random, evolution" in told
    assert "once-for-all" in told
    assert "no zero-cost proxy 'luck'" in fail(2, *command, BUDGET, "--warm-start", "luck")
    assert "Did you mean mnasnet?" in fail(2, *command, BUDGET, "--space", "mnasnett")
    assert not (tmp_path / "out").exists()

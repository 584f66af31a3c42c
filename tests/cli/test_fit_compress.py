"""`pocketcnn fit` and `compress`, with as little training as there can be: what they find out is tested elsewhere."""

import json
from pathlib import Path

import pytest

from pocketcnn.cli.outcome import command_line
from pocketcnn.graph.model_file import load
from tests.support.cli import fail, invoke, succeed

FILES = {"model.onnx", "model.json", "model.safetensors", "report.html", "result.json"}


@pytest.mark.usefixtures("_little_effort")
def test_fit_leaves_its_files_and_prints_the_result(digits: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ("fit", digits, "--budget", "size<=1MB, macs<=5M", "--out", out, "--network", "mobilenet_v2")
    printed = json.loads(succeed(*command, "--seed", 3, "--json").stdout)
    assert printed == json.loads((out / "result.json").read_text())
    assert {path.name for path in out.iterdir()} >= FILES
    assert printed["met"]
    assert printed["seed"] == 3
    assert printed["command"].startswith(f"pocketcnn fit {digits} --budget 'size<=1MB, macs<=5M' --out {out} ")
    assert printed["candidates"][0]["network"] == "mobilenet_v2"
    assert succeed("eval", out / "model.onnx", digits, "--seed", 3).stdout.startswith("accuracy")
    shown = succeed("inspect", out / "model.safetensors").stdout
    assert "trained" in shown


@pytest.mark.usefixtures("_little_effort")
def test_a_budget_that_cannot_be_met_ends_with_3_the_closest_miss_and_the_files(
    model: Path, digits: Path, tmp_path: Path
) -> None:
    result = invoke("compress", model, digits, "--budget", "latency<=0.1us@onnxruntime-cpu", "--out", tmp_path)
    assert result.exit_code == 3, result.stderr
    assert "The budget cannot be met. The closest network misses it: latency@onnxruntime-cpu" in result.stderr
    assert "NO" in result.stdout
    assert {path.name for path in tmp_path.iterdir()} >= FILES


@pytest.mark.usefixtures("_little_effort")
def test_compress_makes_a_model_file_smaller(model: Path, digits: Path, tmp_path: Path) -> None:
    shown = succeed("compress", model, digits, "--budget", "macs<=60%", "--out", tmp_path)
    assert f"file to deploy       {tmp_path / 'model.onnx'}" in shown.stdout
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["seed"] == 5  # that of the training: the test images are still new to the network
    assert result["stages"][-1]["madds"] <= 0.6 * result["stages"][0]["madds"]
    lineage = [stage.name for stage in load(tmp_path / "model.safetensors").info.lineage]
    assert lineage[0] == "trained"
    assert len(lineage) > 1
    assert "epochs, best val accuracy" in shown.stderr


@pytest.mark.usefixtures("_little_effort")
def test_compress_takes_a_strategy_and_leaves_what_it_found_out(model: Path, digits: Path, tmp_path: Path) -> None:
    command = ("compress", model, digits, "--budget", "macs<=95%", "--out", tmp_path, "--strategy", "netadapt")
    result = json.loads(succeed(*command, "--json").stdout)
    assert "--strategy netadapt" in result["command"]
    assert result["stages"][-1]["madds"] <= 0.95 * result["stages"][0]["madds"]
    assert (tmp_path / "automatic" / "netadapt 1.json").is_file()
    assert load(tmp_path / "model.safetensors").info.lineage[-1].settings["strategy"] == "netadapt"


@pytest.mark.usefixtures("_little_effort")
def test_compress_trains_a_network_of_the_zoo_first(digits: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("epochs = 2\n")
    command = ("compress", "mobilenet_v2", digits, "--width", "0.1", "--budget", "size<=1MB", "--recipe", recipe)
    assert json.loads(succeed(*command, "--out", tmp_path / "out", "--json").stdout)["met"]
    assert load(tmp_path / "out" / "model.safetensors").info.name == "mobilenet_v2 0.1x, 8x8"


def test_ctrl_c_says_that_the_same_command_goes_on(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pocketcnn.pipeline.fit.fit.fit", stop)
    message = fail(130, "fit", digits, "--budget", "macs<=1M", "--out", tmp_path)
    assert f"kept in {tmp_path}: the same command resumes from there" in message


def test_mistakes_are_explained_before_any_work(digits: Path, model: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out")
    message = fail(2, "fit", digits, "--budget", "size<=60kB, latensy<=3ms", *out)
    assert "  size<=60kB, latensy<=3ms\n              ^\n" in message
    assert "Did you mean latency?" in message
    assert "Example: macs<=50%" in message
    for verb in (("fit",), ("compress", model), ("compress", "mobilenet_v2")):
        assert "Expected a unit of size" in fail(2, *verb, digits, "--budget", "size<=60", *out)
    budget = ("--budget", "macs<=1M")
    assert "Did you mean mobilenet_v2" in fail(2, "fit", digits, *budget, *out, "--network", "mobilenetv2")
    assert "There is no effort 'huge'" in fail(2, "fit", digits, *budget, *out, "--effort", "huge")
    assert "There is no file" in fail(2, "compress", "absent.safetensors", digits, *budget, *out)
    message = fail(2, "compress", "mobilenet_v2", digits, *budget, *out, "--strategy", "luck")
    assert "There is no strategy 'luck'; choose rank, netadapt, amc." in message
    file = tmp_path / "file"
    file.touch()
    assert f"{file} is a file, not a folder" in fail(2, "fit", digits, *budget, "--out", file / "out")
    assert not (tmp_path / "out").exists()


def test_a_command_can_be_typed_again() -> None:
    options = {"budget": "size<=1kB, ram<=2kB", "effort": "low", "network": ["a", "b"], "recipe": None, "json": False}
    assert command_line("fit", ("my photos",), options) == (
        "pocketcnn fit 'my photos' --budget 'size<=1kB, ram<=2kB' --effort low --network a --network b"
    )

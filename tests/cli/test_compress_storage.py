"""`compress` for storage: a limit on the coded size, `--entropy-code`, `--cluster-bits`; and teachers of `compress` and `fit`."""

import json
from pathlib import Path

import pytest

from pocketcnn.compression.coding.sparsity import weight_names, zero_share
from pocketcnn.graph.model_file import load, save
from tests.support.cli import fail, succeed, write_digits

pytestmark = pytest.mark.usefixtures("_little_effort")


def test_a_limit_on_what_is_stored_is_judged_by_the_coded_file(model: Path, digits: Path, tmp_path: Path) -> None:
    whole = save(tmp_path / "whole.safetensors", load(model), coding="lzma").stat().st_size
    bound = round(0.8 * whole)
    shown = succeed("compress", model, digits, "--budget", f"stored<={bound}B", "--out", tmp_path / "out")
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    file = tmp_path / "out" / "model.safetensors"
    (limit,) = result["limits"]
    assert limit["value"] == file.stat().st_size <= bound
    assert limit["how"] == "bytes of the coded model file"
    assert result["stored"]["bytes"] == file.stat().st_size < result["stored"]["plain_bytes"]
    assert result["stored"]["plain_bytes"] == save(tmp_path / "plain", load(file)).stat().st_size
    assert f"coded model file     {file}, {file.stat().st_size:,} bytes" in shown.stdout
    assert "The deployed model.onnx has" in shown.stderr
    assert "is not coded" in shown.stderr


def test_weights_are_made_few_and_shared_when_asked(model: Path, digits: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = (
        "compress",
        model,
        digits,
        "--budget",
        "macs<=100%",
        "--sparsity",
        "60%",
        "--cluster-bits",
        4,
        "--entropy-code",
    )
    result = json.loads(succeed(*command, "--out", out, "--json").stdout)
    assert [stage["name"] for stage in result["stages"]] == ["given", "sparse", "clustered"]
    assert "--sparsity 60% --cluster-bits 4" in result["command"]
    assert " --entropy-code " in result["command"]
    network = load(out / "model.safetensors")
    assert zero_share(network.graph) == pytest.approx(0.6, abs=0.02)
    for name in weight_names(network.graph):
        values = network.graph.tensors[name]
        assert len(values[values != 0].unique()) <= 16
    assert result["artefact"]["numerics"] == "float32"
    assert result["stored"]["bytes"] < 0.4 * result["stored"]["plain_bytes"]
    assert network.info.lineage[-1].settings["bits"] == 4
    refused = ("--budget", "latency<=9s@cortex-m4", "--cluster-bits", 4)
    assert "Remove --cluster-bits" in fail(2, "compress", model, digits, *refused, "--out", tmp_path / "x")


def test_more_teachers_for_compress_and_fit(model: Path, digits: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('distillation_features = "attention"\n')
    teach = ("--teacher", model, "--teacher", model, "--recipe", recipe)
    pruned = ("compress", model, digits, "--budget", "macs<=70%", *teach, "--out", tmp_path / "a", "--json")
    result = json.loads(succeed(*pruned).stdout)
    assert result["stages"][-1]["madds"] <= 0.7 * result["stages"][0]["madds"]
    assert f"--teacher {model} --teacher {model}" in result["command"]
    fitted = ("fit", digits, "--budget", "size<=1MB", "--network", "mobilenet_v2", *teach[:2], "--out", tmp_path / "b")
    assert json.loads(succeed(*fitted, "--json").stdout)["met"]
    other = write_digits(tmp_path / "others", classes=4, each=12)
    message = fail(2, "fit", other, "--budget", "size<=1MB", *teach[:2], "--out", tmp_path / "c")
    assert "differ from those of the images" in message


def test_an_ensemble_of_teachers_for_train(model: Path, onnx_file: Path, digits: Path, tmp_path: Path) -> None:
    command = ("train", digits, "--network", "mobilenet_v2", "--width", "0.1", "--epochs", 1, "--out", tmp_path / "out")
    succeed(*command, "--teacher", model, "--teacher", onnx_file)
    (stage,) = load(tmp_path / "out" / "model.safetensors").info.lineage
    assert stage.settings["teacher"] == "model.safetensors + net.onnx"

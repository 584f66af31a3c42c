"""`pocketcnn target`: list, show, check, substitute, calibrate."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import pocketcnn as pc
from pocketcnn.targets import list_targets, load_target
from tests.support.cli import document, fail, invoke, succeed

pytestmark = pytest.mark.filterwarnings("ignore:.*lr_scheduler.step.*:UserWarning")


def test_the_list_has_every_target():
    listed = document("target", "list")["targets"]
    assert {entry["name"] for entry in listed} == set(list_targets())
    text = succeed("target", "list").stdout
    assert all(name in text for name in list_targets())
    assert "none: estimated" in text


def test_what_is_known_of_a_target():
    found = document("target", "show", "dsp-npu")
    assert found["numerics"] == ["int8"]
    assert "hardswish" in [entry["op"] for entry in found["lacks"]]
    text = succeed("target", "show", "dsp-npu").stdout
    assert "conv2d, kernel over 3, depthwise" in text
    assert "320 kB" in succeed("target", "show", "cortex-m7").stdout


def test_a_network_of_the_zoo_on_the_dsp_class():
    arguments = ("target", "check", "mobilenet_v3_small", "--width", "0.25", "--input", "3x32x32", "--classes", "3")
    found = document(*arguments, "--target", "dsp-npu")
    assert (found["numerics"], found["runs"], found["passes"]) == ("int8", True, False)
    assert found["partitions"] > 1
    assert 0 < found["estimated_fallback_seconds"] < found["estimated_seconds"]
    text = succeed(*arguments, "--target", "dsp-npu").stdout
    assert "features.stem.act" in text
    assert "an estimate, not a measurement" in text
    strict = invoke(*arguments, "--target", "dsp-npu", "--strict")
    assert strict.exit_code == 3
    assert "layers fall back" in strict.stderr


def test_a_network_that_is_too_large_ends_with_3():
    done = invoke("target", "check", "mobilenet_v2", "--target", "cortex-m4", "--json")
    assert done.exit_code == 3
    assert "does not run on cortex-m4: ram" in done.stderr
    assert [limit["kept"] for limit in json.loads(done.stdout)["limits"]] == [False, False]


def test_wrong_use(model: Path, tmp_path: Path):
    check = ("target", "check")
    assert "no target named 'dsp'" in fail(2, *check, "mobilenet_v2", "--target", "dsp")
    assert "needs --out" in fail(2, *check, model, "--target", "dsp-npu", "--substitute")
    assert "need --substitute" in fail(2, *check, model, "--target", "dsp-npu", "--out", "x.safetensors")
    wrong = (*check, model, "--target", "dsp-npu", "--substitute", "--out", tmp_path / "x.onnx")
    assert "ends in .safetensors" in fail(2, *wrong)
    untrained = ("--substitute", "--data", tmp_path, "--out", tmp_path / "x.safetensors")
    assert "is not trained" in fail(2, *check, "mobilenet_v2", "--target", "dsp-npu", *untrained)
    assert "is not on this machine" in fail(2, "target", "calibrate", "cortex-m7")
    assert "a target is a .toml file" in fail(2, "target", "calibrate", "torch-cpu", "--out", "x.json")


def test_made_over_recovered_exported_and_run(digits: Path, tmp_path: Path):
    """The acceptance of the device class that did not support MobileNetV3: its large network, trained, made over, run."""
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("batch_size = 16\nema_decay = 0.9\n")
    train = ("train", digits, "--network", "mobilenet_v3_large", "--width", "0.1", "--epochs", "10", "--recipe", recipe)
    succeed(*train, "--out", tmp_path / "trained", "--seed", "1")
    given, out = tmp_path / "trained" / "model.safetensors", tmp_path / "made" / "over.safetensors"
    substitute = ("--substitute", "--data", digits, "--out", out, "--epochs", "6", "--recipe", recipe)
    found = document("target", "check", given, "--target", "dsp-npu", *substitute)
    made = found["made_over"]
    assert (len(found["fallen"]), len(made["fallen"])) == (43, 0)
    assert made["passes"]
    assert made["left"] == []
    accuracy = {stage: made["test_accuracy"][stage]["top1"] for stage in ("given", "substituted", "recovered")}
    assert accuracy["given"] > 0.8  # 15 test images, three classes
    assert accuracy["recovered"] >= max(accuracy["given"] - 0.14, accuracy["substituted"] - 0.14)
    stages = pc.load(out).info.lineage
    assert [stage.name for stage in stages] == ["trained", "substituted", "recovered"]
    assert stages[1].figures == {"test_accuracy_before": accuracy["given"], "test_accuracy": accuracy["substituted"]}
    assert stages[2].figures["test_accuracy"] == accuracy["recovered"]
    assert not (out.parent / "work").exists()
    succeed("target", "check", out, "--target", "dsp-npu", "--strict")
    succeed("export", out, "--out", tmp_path / "over.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "over.onnx", providers=["CPUExecutionProvider"])
    batch = np.zeros((2, *pc.load(out).graph.input_shape), dtype=np.float32)
    assert session.run(None, {session.get_inputs()[0].name: batch})[0].shape == (2, 3)


def test_without_images_nothing_is_trained(tmp_path: Path):
    out = tmp_path / "x.safetensors"
    small = ("--width", "0.25", "--input", "3x32x32", "--classes", "3")
    arguments = ("target", "check", "mobilenet_v3_small", "--target", "dsp-npu", "--substitute", "--out", out, *small)
    assert "need training" in succeed(*arguments).stdout
    assert [stage.name for stage in pc.load(out).info.lineage] == ["substituted"]


def test_calibrating_writes_a_target_with_rates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pocketcnn.pipeline.latency.calibrate.SHAPES", ((3, 16, 8),))
    monkeypatch.setattr("pocketcnn.pipeline.latency.calibrate.last_level_cache", lambda: 2**18)
    monkeypatch.setattr("pocketcnn.pipeline.latency.calibrate.LEAST_BYTES", 2**20)
    out = tmp_path / "here.toml"
    printed = document("target", "calibrate", "onnxruntime-cpu", "--out", out, "--seconds", "0.05")
    target = load_target(out)
    assert printed["peak_madds"] == dict(target.peak_madds)
    assert set(target.peak_madds) == {"float32", "int8"}
    assert target.calibration.runtime.startswith("onnxruntime ")
    for name, (low, high) in target.calibration.spread.items():
        rate = target.bandwidth if name == "bandwidth" else target.peak_madds[name]
        assert 0 < low <= rate <= high
    small = ("--width", "0.25", "--input", "3x32x32", "--classes", "3")
    assert document("target", "check", "mobilenet_v2", "--target", out, *small)["estimated_seconds"] > 0
    assert "has no peak rates" in succeed("target", "check", "mobilenet_v2", "--target", "torch-cpu", *small).stdout

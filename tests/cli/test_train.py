"""`pocketcnn train`, its interruptions included."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pocketcnn.graph.model_file import load
from pocketcnn.models import network_options
from pocketcnn.pipeline.candidates import CandidateNetwork
from tests.support.cli import document, fail, invoke, succeed, write_digits

NETWORK = ("--network", "mobilenet_v2", "--width", "0.1")


def test_it_leaves_a_model_file_with_its_lineage_and_the_figures(trained: Path, digits: Path) -> None:
    figures = json.loads((trained / "training.json").read_text())
    assert [record["epoch"] for record in figures["history"]] == [1, 2, 3, 4, 5, 6]
    assert sum(figures["images"].values()) == 90
    assert figures["recipe"]["batch_size"] == 32
    assert figures["history"][-1]["loss"] < 0.9 * figures["history"][0]["loss"]
    everything = document("eval", trained / "model.safetensors", digits, "--split", "all")
    assert everything["top1"] > 0.5  # three classes; of the 12 test images alone it is a matter of chance
    info = load(trained / "model.safetensors").info
    assert info.classes == ("one", "two", "zero")
    assert info.input is not None
    assert info.input.shape == (1, 8, 8)
    (stage,) = info.lineage
    assert (stage.name, stage.seed, stage.data) == ("trained", 5, figures["data"])
    assert stage.figures["test_accuracy"] == figures["test"]["top1"]
    assert str(digits) not in info.model_dump_json()


def test_the_same_seed_gives_the_same_network_and_the_size_can_be_chosen(digits: Path, tmp_path: Path) -> None:
    command = ("train", digits, *NETWORK, "--epochs", 1, "--size", "10x12")
    first, second = (document(*command, "--out", tmp_path / name) for name in ("a", "b"))
    assert (first["input"]["height"], first["input"]["width"]) == (10, 12)
    assert first["history"][0]["loss"] == second["history"][0]["loss"]


def test_a_teacher_lends_its_input_contract(digits: Path, onnx_file: Path, model: Path, tmp_path: Path) -> None:
    command = ("train", digits, *NETWORK, "--epochs", 1, "--teacher", onnx_file)
    taught = document(*command, "--out", tmp_path / "out")
    assert taught["input"] == load(model).info.input.model_dump(mode="json")  # type: ignore[union-attr]
    assert load(tmp_path / "out" / "model.safetensors").info.lineage[0].settings["teacher"] == "net.onnx"
    assert "takes images of 8x8" in fail(2, *command, "--out", tmp_path / "other", "--size", "16")
    other = write_digits(tmp_path / "other_digits", classes=4, each=8)
    message = fail(2, "train", other, *NETWORK, "--out", tmp_path / "x", "--teacher", onnx_file)
    assert "Only in the folder: three. Only in the network: none." in message


def test_mistakes_are_explained_before_anything_is_written(digits: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ("train", digits, "--out", out)
    assert "Did you mean mobilenet_v1" in fail(2, *command, "--network", "mobilenet_w1")
    assert "write 32 or 24x32" in fail(2, *command, *NETWORK, "--size", "8x")
    assert "Cannot read the recipe nothing.toml" in fail(2, *command, *NETWORK, "--recipe", "nothing.toml")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("epoch = 3")
    assert "did you mean 'epochs'?" in fail(2, *command, *NETWORK, "--recipe", recipe)
    assert not out.exists()


def test_a_finished_training_is_not_overwritten_by_accident(trained: Path, digits: Path) -> None:
    message = invoke("train", digits, *NETWORK, "--out", trained).stderr
    assert "already holds a training. Resume it (--resume" in message


EPOCHS = 24
"""Of a training that is stopped: on a busy machine the signal takes a while to be sent."""


def stopped_training(number: signal.Signals, digits: Path, out: Path) -> tuple[tuple[str, ...], str]:
    """The command of a training that a signal stopped after its first epoch, and what it said of that epoch."""
    command = ("train", str(digits), *NETWORK, "--out", str(out), "--epochs", str(EPOCHS))
    process = subprocess.Popen([sys.executable, "-m", "pocketcnn", *command], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    with process.stderr as told:
        first = next(line for line in told if f"epoch 1/{EPOCHS}" in line)
        process.send_signal(number)
        rest = told.read()
    assert process.wait() == 130
    assert "Traceback" not in rest
    assert "Resume with the same command and --resume" in rest
    return command, first


def test_nothing_is_lost_by_sigterm(digits: Path, tmp_path: Path) -> None:
    stopped_training(signal.SIGTERM, digits, tmp_path / "out")
    assert len(list((tmp_path / "out" / "checkpoints").iterdir())) == 1


def test_nothing_is_lost_by_ctrl_c_or_by_a_full_disk(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    command, first = stopped_training(signal.SIGINT, digits, out)
    (checkpoint,) = (out / "checkpoints").iterdir()

    def no_space(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(Path, "write_bytes", no_space)
        stopped = invoke(*command, "--resume")
    assert stopped.exit_code == 1
    assert "the disk is full" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert list((out / "checkpoints").iterdir()) == [checkpoint]

    figures = document(*command, "--resume")
    assert [record["epoch"] for record in figures["history"]] == list(range(1, EPOCHS + 1))
    assert f"loss {figures['history'][0]['loss']:.4f}" in first
    assert succeed("inspect", out / "model.safetensors").stdout


def test_networks_without_the_option_of_a_smaller_stride_are_built_too() -> None:
    plan = CandidateNetwork("condensenet_86", 1.0, channels=1, size=(16, 16), classes=3)
    assert "total_stride" not in network_options(plan.network)
    assert plan.graph.output_shape == (3,)

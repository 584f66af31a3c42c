"""`pocketcnn compress`: networks by name, a model file as the result, and the choices that its method leaves."""

import json
from pathlib import Path

import pytest

from pocketcnn.graph.model_file import load, save
from tests.support.cli import fail, succeed

pytestmark = pytest.mark.usefixtures("_little_effort")


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """One epoch."""
    path = tmp_path / "recipe.toml"
    path.write_text("epochs = 1\nbatch_size = 32\n")
    return path


def test_a_network_of_another_library_learns_the_classes_first(digits: Path, recipe: Path, tmp_path: Path) -> None:
    file = tmp_path / "small.safetensors"
    command = ("compress", "timm:lcnet_035", digits, "--budget", "macs<=60%", "--out", file)
    shown = succeed(*command, "--from-scratch", "--size", 16, "--recipe", recipe)
    assert f"timm:lcnet_035, 16x16 is not trained yet: training it on {digits} first" in shown.stderr
    network = load(file)
    assert network.info.classes == load(tmp_path / "small" / "model.safetensors").info.classes == ("one", "two", "zero")
    assert network.graph.input_shape == (1, 16, 16)
    result = json.loads((tmp_path / "small" / "result.json").read_text())
    assert result["met"]
    assert result["lineage"][0]["name"] == "trained"
    assert "--size 16" in result["command"]


def test_a_file_without_classes_gets_a_new_last_layer(model: Path, digits: Path, recipe: Path, tmp_path: Path) -> None:
    network = load(model)
    network.info = network.info.model_copy(update={"classes": (), "lineage": ()})
    save(tmp_path / "unnamed.safetensors", network)
    command = ("compress", tmp_path / "unnamed.safetensors", digits, "--budget", "macs<=70%", "--out", tmp_path / "out")
    shown = succeed(*command, "--recipe", recipe)
    assert "has no class names" in shown.stderr
    assert load(tmp_path / "out" / "model.safetensors").info.classes == ("one", "two", "zero")


def test_choices_are_carried_out_and_written_down(model: Path, digits: Path, tmp_path: Path) -> None:
    options = (
        "--stages",
        2,
        "--criterion",
        "fpgm",
        "--allocation",
        "uniform",
        "--no-reconstruct",
        "--resolution",
        "6x6",
    )
    command = (
        "compress",
        model,
        digits,
        "--budget",
        "macs<=40%",
        "--out",
        tmp_path,
        "--sparsity",
        "2:4",
        "--blocks",
        1,
    )
    succeed(*command, *options)
    result = json.loads((tmp_path / "result.json").read_text())
    names = [stage["name"] for stage in result["lineage"]]
    assert names[:3] == ["trained", "given", "restructured"]
    assert "sparse" in names
    pruned = next(stage for stage in result["lineage"] if stage["name"] == "pruned")
    assert pruned["settings"]["criterion"] == "fpgm"
    assert pruned["settings"]["allocation"] == "uniform"
    assert pruned["settings"]["reconstruct"] is False
    for words in ("--no-reconstruct", "--sparsity 2:4", "--blocks 1", "--resolution 6x6", "--criterion fpgm"):
        assert words in result["command"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--criterion", "magnitud"), "Did you mean 'magnitude'"),
        (("--allocation", "even"), "no allocation 'even'"),
        (("--sparsity", "much"), "'much' is not a sparsity"),
        (("--resolution", "huge"), "not an image size"),
        (("--size", "16"), "--size and --width are only for networks by name"),
    ],
)
def test_mistakes_end_before_any_work(
    model: Path, digits: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    assert message in fail(2, "compress", model, digits, "--budget", "macs<=1M", "--out", tmp_path / "out", *options)
    assert not (tmp_path / "out").exists()


def test_a_folder_in_place_of_the_file(model: Path, digits: Path, tmp_path: Path) -> None:
    (tmp_path / "small.safetensors").mkdir()
    message = fail(2, "compress", model, digits, "--budget", "macs<=1M", "--out", tmp_path / "small.safetensors")
    assert "is a folder" in message


def test_an_unknown_name_of_another_library(digits: Path, tmp_path: Path) -> None:
    out = ("--budget", "macs<=1M", "--out", tmp_path / "out")
    assert "Did you mean timm:" in fail(2, "compress", "timm:mobilenetv3_smal_100", digits, *out)

"""What a verb prints as JSON is what the function of the same purpose gives a Python user."""

from pathlib import Path

import pytest

import pocketcnn as pc
from pocketcnn.files import plain
from pocketcnn.pipeline.train.trained_network import trained_network
from tests.support.cli import document


def test_evaluate_and_predict(model: Path, onnx_file: Path, digits: Path) -> None:
    for file in (model, onnx_file):
        judged = pc.evaluate_folder(file, digits, split="val")
        assert plain({"file": file, "data": digits, **judged.as_dict()}) == document(
            "eval", file, digits, "--split", "val"
        )
        guessed = pc.predict(file, [digits / "one"], top=2)
        assert plain({"file": file, **guessed.as_dict()}) == document("predict", file, digits / "one", "--top", 2)


def test_inspect_describe_and_environment(model: Path) -> None:
    assert plain({**pc.inspect(model).as_dict(), "files": []}) == document("inspect", model)
    assert pc.inspect(pc.load(model)).cost == pc.inspect(model).cost
    described = pc.describe_model("mobilenet_v2", (1, 32, 32), width=0.5, classes=3)
    asked = ("--input", "1x32x32", "--width", "0.5", "--classes", 3)
    assert plain(described) == document("models", "mobilenet_v2", *asked)
    assert plain(pc.environment()) == document("doctor")


def test_train_folder_leaves_what_the_verb_leaves(digits: Path, tmp_path: Path) -> None:
    trained = pc.train_folder(
        digits, "mobilenet_v2", tmp_path / "python", width=0.1, recipe=pc.Recipe(epochs=1, batch_size=32, seed=2)
    )
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("batch_size = 32\n")
    train = ("train", digits, "--network", "mobilenet_v2", "--width", "0.1", "--epochs", 1, "--seed", 2)
    printed = document(*train, "--recipe", recipe, "--out", tmp_path / "verb")
    assert plain(trained.document)["test"] == printed["test"]
    assert {path.name for path in (tmp_path / "python").iterdir()} == {
        path.name for path in (tmp_path / "verb").iterdir()
    }
    again = trained_network(tmp_path / "python" / "model.safetensors", digits, tmp_path / "unused")
    assert again.info == trained.network.info
    assert not (tmp_path / "unused").exists()


def test_open_network_takes_files_and_names(model: Path, onnx_file: Path) -> None:
    assert pc.open_network(model).graph.input_shape == pc.open_network(onnx_file).graph.input_shape == (1, 8, 8)
    assert pc.open_network("mobilenet_v1", (1, 32, 32), width=0.25, classes=3).graph.output_shape == (3,)
    with pytest.raises(pc.UsageError, match="width, classes: only for networks by name"):
        pc.open_network(model, width=0.5, classes=3)

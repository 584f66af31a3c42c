"""`pocketcnn eval`."""

import json
from pathlib import Path

import pytest

from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.graph.model_file import load, save
from pocketcnn.models import create
from tests.support.cli import document, fail, invoke, succeed, write_digits


def test_the_default_is_the_test_split_of_the_training(trained: Path, model: Path, digits: Path) -> None:
    """The seed of the split comes from the file: with another, images that it was trained on would be among them."""
    assert document("eval", model, digits) | {"file": None, "data": None} == {
        **json.loads((trained / "training.json").read_text())["test"],
        **{"file": None, "data": None, "split": "test"},
        "fingerprint": json.loads((trained / "training.json").read_text())["data"],
    }


def test_the_deployable_file_is_judged_like_the_model_file(model: Path, onnx_file: Path, digits: Path) -> None:
    of_model, of_file = (document("eval", file, digits, "--split", "all") for file in (model, onnx_file))
    assert of_file["confusion"] == of_model["confusion"]
    assert of_file["loss"] == pytest.approx(of_model["loss"], rel=1e-4)
    assert of_file["images"] == 90


def test_recall_and_confused_pairs_follow_from_the_confusion(model: Path, digits: Path) -> None:
    found = document("eval", model, digits, "--split", "all")
    confusion, classes = found["confusion"], found["classes"]
    assert sum(map(sum, confusion)) == 90
    for index, name in enumerate(classes):
        assert found["recall"][name] == confusion[index][index] / sum(confusion[index])
    wrong = sum(pair["images"] for pair in found["confused"])
    assert found["top1"] == pytest.approx(1 - wrong / 90)
    assert found["confused"] == sorted(found["confused"], key=lambda pair: -pair["images"])
    shown = succeed("eval", model, digits, "--split", "all").stdout
    assert "95 % interval" in shown
    assert "90 images" in shown


def test_other_images_and_other_classes_are_noticed(model: Path, tmp_path: Path) -> None:
    fewer = write_digits(tmp_path / "fewer", classes=3, each=10)
    assert "are not those that" in invoke("eval", model, fewer).stderr
    more = write_digits(tmp_path / "more", classes=4, each=10)
    (more / "zero").rename(more / "nought")
    message = fail(2, "eval", model, more)
    assert "Only in the folder: nought, three. Only in the network: zero." in message


def test_classes_are_matched_by_name_not_by_place(model: Path, digits: Path, tmp_path: Path) -> None:
    network = load(model)
    head = network.graph[network.graph.output]
    order = [2, 0, 1]
    turned = {name: network.graph.tensors[name][order] for name in head.tensors.values()}
    names = tuple(network.info.classes[index] for index in order)
    graph = network.graph.rebuilt(tensors={**network.graph.tensors, **turned})
    save(tmp_path / "turned.safetensors", GraphNetwork(graph, network.info), classes=names)
    expected, found = (document("eval", file, digits) for file in (model, tmp_path / "turned.safetensors"))
    assert found["recall"] == expected["recall"]
    assert found["classes"] == list(names)


def test_files_that_cannot_be_judged_are_explained(model: Path, onnx_file: Path, digits: Path, tmp_path: Path) -> None:
    assert "There is no split 'tset'" in fail(2, "eval", model, digits, "--split", "tset")
    assert "There is no file" in fail(2, "eval", tmp_path / "absent.onnx", digits)
    assert "is a folder" in fail(2, "eval", model.parent, digits)
    assert "It contains model.safetensors" in fail(2, "eval", model.parent, digits)
    other = tmp_path / "model.pt"
    other.touch()
    assert "a file ending in '.pt'; a model file" in fail(2, "eval", other, digits)
    alone = tmp_path / "alone.onnx"
    alone.write_bytes(onnx_file.read_bytes())
    assert "no sidecar alone.json beside it" in fail(1, "eval", alone, digits)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(model.read_bytes()[:-100])
    assert "is not a valid model file" in fail(1, "eval", cut, digits)
    bare = tmp_path / "bare.safetensors"
    save(bare, GraphNetwork(capture(create("mobilenet_v2", width=0.1, classes=3, in_channels=1), (1, 1, 8, 8))))
    assert "has no input contract" in fail(2, "eval", bare, digits)


def test_a_folder_with_some_of_the_classes_is_evaluated_and_the_note_says_so(model: Path, tmp_path: Path) -> None:
    some = write_digits(tmp_path / "some", classes=1, each=10)
    said = invoke("eval", model, some, "--split", "all")
    assert said.exit_code == 0
    assert "1 of the 3 classes" in said.stderr
    found = document("eval", model, some, "--split", "all")
    assert found["images"] == 10
    assert sum(share is not None for share in found["recall"].values()) == 1


def test_a_split_without_images_is_said(model: Path, tmp_path: Path) -> None:
    few = write_digits(tmp_path / "few", classes=2, each=2)
    assert "no images in test" in fail(2, "eval", model, few)
    assert document("eval", model, few, "--split", "all")["images"] == 4

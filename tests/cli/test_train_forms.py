"""`pocketcnn train` of networks that are trained in another form than they are deployed in."""

import json
from pathlib import Path

import pytest
import torch

from pocketcnn.graph import Graph
from pocketcnn.graph.model_file import load
from tests.support.cli import succeed, write_digits


def trained_graph(network: str, size: int, tmp_path: Path) -> tuple[Graph, float]:
    """The graph in the model file, and the loss of the training."""
    data, out = write_digits(tmp_path / "digits", classes=2, each=8), tmp_path / "out"
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("batch_size = 4\nlabel_smoothing = 0.0\n")
    train = ("train", data, "--network", network, "--size", size, "--epochs", 2, "--recipe", recipe)
    succeed(*train, "--out", out)
    loaded = load(out / "model.safetensors")
    assert torch.isfinite(loaded.eval()(torch.zeros(1, 1, size, size))).all()
    return loaded.graph, json.loads((out / "training.json").read_text())["history"][0]["loss"]


@pytest.mark.parametrize(
    ("network", "size", "layers", "features"),
    [("condensenet_86", 8, 42, 800), pytest.param("condensenet_74", 32, 36, 2064, marks=pytest.mark.slow)],  # 30 s
)
def test_the_model_file_holds_the_condensed_network(
    network: str, size: int, layers: int, features: int, tmp_path: Path
) -> None:
    graph, _ = trained_graph(network, size, tmp_path)
    grouped = [node for node in graph.nodes if node.name.endswith("bottleneck.conv")]
    assert len(grouped) == layers
    assert {node.integer("groups") for node in grouped} == {4}
    chosen = [graph.tensors[node.tensors["index"]] for node in graph.nodes if node.op == "gather"]
    assert len(chosen) == layers + 1  # and one before the classifier
    arbitrary = torch.cat([torch.arange(group, 16, 4) for group in range(4)])
    assert not torch.equal(chosen[0], arbitrary)  # learned, not as a fresh network has them
    assert graph.tensors["classifier.2.weight"].shape == (2, features // 2)


@pytest.mark.slow  # 1000 layers are captured in 15 s
def test_the_auxiliary_head_is_trained_and_left_out_of_the_model_file(tmp_path: Path) -> None:
    graph, loss = trained_graph("nasnet_mobile", 32, tmp_path)
    assert not any("auxiliary" in name for name in graph.tensors)
    assert loss > 1.4 * 0.5  # two classes: 0.69 each, and the auxiliary head's with a weight of 0.4

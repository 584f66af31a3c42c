"""`pocketcnn inspect`."""

from pathlib import Path

from pocketcnn.cost import count
from pocketcnn.graph.model_file import load, save
from pocketcnn.models import create
from tests.support.cli import document, fail, succeed


def test_a_model_file_tells_all_that_travels_with_it(model: Path) -> None:
    found, network = document("inspect", model), load(model)
    assert found["info"] == network.info.model_dump(mode="json")
    assert found["output_shape"] == [3]
    assert found["weight_bits"] == {}
    cost = count(network)
    assert found["cost"]["madds"] == cost.madds == sum(layer["madds"] for layer in found["cost"]["layers"])
    assert found["cost"]["peak_layer"] == cost.peak_layer
    shown = succeed("inspect", model).stdout
    assert "one, two, zero" in shown
    assert "trained  val_accuracy" in shown
    (peak,) = [line for line in shown.splitlines() if line.endswith("(peak)")]
    assert peak.split()[0] == cost.peak_layer


def test_a_quantized_network_shows_its_formats(model: Path, tmp_path: Path) -> None:
    import torch

    from pocketcnn.compression.quantization import quantize

    path = tmp_path / "int8.safetensors"
    save(path, quantize(load(model), torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))))
    found = document("inspect", path)
    assert set(found["weight_bits"].values()) == {8}
    assert found["cost"]["weight_bytes"] < document("inspect", model)["cost"]["weight_bytes"] / 2
    assert "int8" in succeed("inspect", path).stdout


def test_what_stays_in_float32_in_a_quantized_network_is_named(tmp_path: Path) -> None:
    import torch
    from torch import nn

    from pocketcnn.compression.quantization import quantize
    from pocketcnn.graph import GraphNetwork, capture

    layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3), nn.Softmax(1))
    network = GraphNetwork(capture(layers.eval(), (1, 1, 8, 8)))
    path = tmp_path / "softmax.safetensors"
    save(path, quantize(network, torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))))
    (softmax,) = [node.name for node in network.graph.nodes if node.op == "softmax"]
    assert f"int8; in float32: softmax ({softmax})" in succeed("inspect", path).stdout


def test_a_network_of_the_zoo_is_counted_for_any_input() -> None:
    found = document("inspect", "mobilenet_v1", "--width", "0.25", "--classes", "5", "--input", "1x32x48")
    expected = count(create("mobilenet_v1", width=0.25, classes=5, in_channels=1), (1, 1, 32, 48))
    assert found["cost"]["madds"] == expected.madds
    assert found["cost"]["params"] == expected.params
    assert found["input_shape"] == [1, 32, 48]


def test_mistakes_are_explained(tmp_path: Path) -> None:
    assert "Did you mean mobilenet_v1" in fail(2, "inspect", "mobilenet1")
    assert "There is no file absent.safetensors" in fail(2, "inspect", "absent.safetensors")
    assert "add --diagram" in fail(2, "inspect", "mobilenet_v1", "--block", "features")
    assert "Did you mean timm:resnet18" in fail(2, "inspect", "timm:resnet_18")
    assert "Did you mean torchvision:alexnet" in fail(2, "inspect", "torchvision:alexnets")
    assert "3 channels, not 1" in fail(2, "inspect", "torchvision:alexnet", "--input", "1x64x64")
    assert "--width applies to networks of the zoo only" in fail(2, "inspect", "torchvision:alexnet", "--width", "0.5")
    assert "layer_norm" in fail(1, "inspect", "timm:convnext_atto", "--input", "32")
    hostile = tmp_path / "weights.safetensors"
    hostile.write_bytes(b"\x80\x04not a network")
    assert "is not a valid model file" in fail(1, "inspect", hostile)


def test_each_figure_of_each_layer_and_its_share() -> None:
    cost = document("inspect", "mobilenet_v3_small", "--input", "64")["cost"]
    for figure, share in (("madds", "share"), ("params", "params_share"), ("weight_bytes", "weight_share")):
        assert sum(layer[figure] for layer in cost["layers"]) == cost[figure]
        assert abs(sum(layer[share] for layer in cost["layers"]) - 1) < 1e-9
    assert cost["flops"] == 2 * cost["madds"]
    for layer in cost["layers"]:
        access = layer["weight_bytes"] + layer["input_bytes"] + layer["output_bytes"]
        assert layer["memory_access_bytes"] == access
        assert layer["intensity"] == (layer["madds"] / access if access else 0)
    assert max(layer["live_share"] for layer in cost["layers"]) == 1
    assert cost["intensity"] == cost["madds"] / cost["memory_access_bytes"]


def test_patches_are_proposed_and_the_definitions_printed() -> None:
    found = document("inspect", "mobilenet_v2", "--input", "96")
    best = found["patches"]["best"]
    assert best in found["patches"]["plans"]
    assert best["peak_bytes"] < found["cost"]["peak_activation_bytes"]
    shown = succeed("inspect", "mobilenet_v2", "--input", "96").stdout
    assert f"with {best['grid']}x{best['grid']} patches up to {best['split']}" in shown
    assert "2 x MAdds: a multiply-add is a multiplication and an addition" in shown
    assert "MAdds per byte of memory access" in shown


def test_an_onnx_file_costs_what_the_network_in_it_does(model: Path, onnx_file: Path) -> None:
    """The file has batch norm folded, so it costs what the folded graph does."""
    from pocketcnn.graph.passes.fold import for_inference

    found, expected = document("inspect", onnx_file)["cost"], count(for_inference(load(model).graph))
    assert (found["madds"], found["params"], found["weight_bytes"]) == (
        expected.madds,
        expected.params,
        expected.weight_bytes,
    )


def test_networks_of_other_libraries(tmp_path: Path) -> None:
    """Published: 2.54 M parameters (torchvision's MobileNetV3-Small); timm's LCNet 0.5 with other classes and grey images."""
    assert document("inspect", "torchvision:mobilenet_v3_small", "--input", "32")["cost"]["params"] == 2_542_856
    found = document(
        "inspect", "timm:lcnet_050", "--input", "1x32x32", "--classes", "7", "--diagram", tmp_path / "d.svg"
    )
    assert (found["input_shape"], found["output_shape"]) == ([1, 32, 32], [7])
    assert "blocks.1.0" in (tmp_path / "d.svg").read_text()


def test_the_drawing_of_one_block(tmp_path: Path) -> None:
    path = tmp_path / "block.svg"
    draw = ("inspect", "mobilenet_v2", "--input", "64", "--diagram", path, "--block")
    assert f"{path} written" in succeed(*draw, "features.block3").stdout
    assert "mobilenet_v2, features.block3" in path.read_text()
    assert path.read_text().count("depthwise 3") == 1
    assert "Did you mean features.block3" in fail(2, *draw, "features.blok3")
    succeed("inspect", "mobilenet_v2", "--input", "64", "--diagram", path, "--blocks")
    assert "features.block8 … block10" in path.read_text()


def test_the_page(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "cost.html"
    assert document("inspect", model, "--html", path)["files"] == [str(path)]
    page, cost = path.read_text(), count(load(model))
    assert cost.peak_layer in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")

"""`pocketcnn inspect`."""

from pathlib import Path

from cli_support import document, fail, succeed

from pocketcnn.cost import count
from pocketcnn.graph.model_file import load, save
from pocketcnn.models import create


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


def test_a_network_of_the_zoo_is_counted_for_any_input() -> None:
    found = document("inspect", "mobilenet_v1", "--width", "0.25", "--classes", "5", "--input", "1x32x48")
    expected = count(create("mobilenet_v1", width=0.25, classes=5, in_channels=1), (1, 1, 32, 48))
    assert found["cost"]["madds"] == expected.madds
    assert found["cost"]["params"] == expected.params
    assert found["input_shape"] == [1, 32, 48]


def test_mistakes_are_explained(onnx_file: Path, tmp_path: Path) -> None:
    assert "Did you mean mobilenet_v1" in fail(2, "inspect", "mobilenet1")
    assert "is an ONNX file (.onnx); a model file" in fail(2, "inspect", onnx_file)
    assert "There is no file absent.safetensors" in fail(2, "inspect", "absent.safetensors")
    hostile = tmp_path / "weights.safetensors"
    hostile.write_bytes(b"\x80\x04not a network")
    assert "is not a usable model file" in fail(1, "inspect", hostile)

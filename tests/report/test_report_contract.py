"""The script that a report shows really runs, and does what the contract says."""

import json
import runpy
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from pocketcnn.data.images import load_image
from pocketcnn.data.preprocess import preprocess
from pocketcnn.graph.contract import InputContract
from pocketcnn.report.contract import INLINE_CLASSES, snippet, steps

RGB = InputContract(channels=3, height=4, width=6, mean=(0.5, 0.4, 0.3), std=(0.25, 0.2, 0.1))
GRAY = InputContract(channels=1, height=8, width=8, mean=(0.25,), std=(0.5,))
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def write_model(path: Path, contract: InputContract, weights: np.ndarray) -> None:
    """Logits (1, K) = mean over height and width @ weights (C, K)."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixels"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["means"]),
        helper.make_node("MatMul", ["means", "weights"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, (1, *contract.shape))],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, (1, weights.shape[1]))],
        [numpy_helper.from_array(weights.astype(np.float32), "weights")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def run_snippet(
    folder: Path, monkeypatch: pytest.MonkeyPatch, contract: InputContract, classes: list[str], weights: np.ndarray
) -> np.ndarray:
    """Run the script in `folder`, where ``image.png`` lies; its batch (1, C, H, W)."""
    write_model(folder / "model.onnx", contract, weights)
    (folder / "model.json").write_text(json.dumps({"classes": classes}), encoding="utf-8")
    script = folder / "predict.py"
    script.write_text(snippet(contract, classes, "model.onnx", "model.json"), encoding="utf-8")
    monkeypatch.chdir(folder)
    batch = runpy.run_path(str(script))["batch"]
    assert batch.shape == (1, *contract.shape)
    assert batch.dtype == np.float32
    return batch


def normalised(colour: tuple[int, ...], contract: InputContract) -> np.ndarray:
    return (np.array(colour) / 255 - contract.mean) / contract.std


def stripes() -> Image.Image:
    """18 x 4 pixels: red, green and blue, six columns each."""
    image = Image.new("RGB", (18, 4), RED)
    image.paste(GREEN, (6, 0, 12, 4))
    image.paste(BLUE, (12, 0, 18, 4))
    return image


def test_a_grayscale_image_is_normalised_and_classified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (8, 8), 204).save(tmp_path / "image.png")
    batch = run_snippet(tmp_path, monkeypatch, GRAY, ['dark "grey"', "bright's"], np.array([[-1.0, 1.0]]))
    np.testing.assert_allclose(batch, (204 / 255 - 0.25) / 0.5, rtol=1e-6)
    assert capsys.readouterr().out == "bright's\n"


def test_stretch_keeps_all_of_the_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stripes().save(tmp_path / "image.png")
    nearest = RGB.model_copy(update={"interpolation": "nearest"})
    batch = run_snippet(tmp_path, monkeypatch, nearest, ["r", "g", "b"], np.eye(3))
    for column, colour in enumerate((RED, RED, GREEN, GREEN, BLUE, BLUE)):
        np.testing.assert_allclose(batch[0, :, 2, column], normalised(colour, RGB), rtol=1e-5)


def test_crop_keeps_the_centre(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stripes().save(tmp_path / "image.png")
    crop = RGB.model_copy(update={"resize": "crop"})
    batch = run_snippet(tmp_path, monkeypatch, crop, ["r", "g", "b"], np.eye(3))
    np.testing.assert_allclose(batch[0].mean(axis=(1, 2)), normalised(GREEN, RGB), rtol=1e-5)
    assert capsys.readouterr().out == "g\n"


def test_letterbox_pads_with_black(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (18, 6), RED).save(tmp_path / "image.png")
    letterbox = RGB.model_copy(update={"resize": "letterbox", "interpolation": "bicubic"})
    batch = run_snippet(tmp_path, monkeypatch, letterbox, ["r", "g", "b"], np.eye(3))
    for row, colour in enumerate(((0, 0, 0), RED, RED, (0, 0, 0))):
        np.testing.assert_allclose(batch[0, :, row, 3], normalised(colour, RGB), rtol=1e-5)


@pytest.mark.parametrize("resize", ["stretch", "crop", "letterbox"])
@pytest.mark.parametrize("contract", [RGB, GRAY], ids=["rgb", "grey"])
def test_the_script_feeds_the_network_what_training_fed_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, contract: InputContract, resize: str
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (31, 45, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "image.png")
    contract = contract.model_copy(update={"resize": resize})
    batch = run_snippet(tmp_path, monkeypatch, contract, ["a", "b"], np.ones((contract.channels, 2)))
    expected = preprocess(load_image(tmp_path / "image.png", contract.channels), contract)
    assert np.array_equal(batch[0], expected.numpy())


def test_many_classes_are_read_from_the_sidecar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    classes = [f"class {index} é" for index in range(INLINE_CLASSES + 1)]
    Image.new("L", (8, 8), 255).save(tmp_path / "image.png")
    run_snippet(tmp_path, monkeypatch, GRAY, classes, np.arange(len(classes))[None] * 1.0)
    assert capsys.readouterr().out == f"{classes[-1]}\n"
    assert "class 3" not in snippet(GRAY, classes, "model.onnx", "model.json")


@pytest.mark.parametrize("resize", ["stretch", "crop", "letterbox"])
def test_the_words_name_every_step(resize: str) -> None:
    words = "; ".join(steps(RGB.model_copy(update={"resize": resize})))
    for expected in ("RGB", "6 x 4 pixels", "bilinear", "divide by 255", "0.5, 0.4, 0.3", "(1, 3, 4, 6)"):
        assert expected in words
    assert ("black" in words, "crop the centre" in words) == (resize == "letterbox", resize == "crop")

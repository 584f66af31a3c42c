"""What is OpenVINO's own; test_runtime_contract.py has what holds for every runtime."""

from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
import torch
from onnx import helper

import pocketcnn as pc
from pocketcnn.errors import MissingExtra, PocketcnnError
from pocketcnn.formats.onnx.writer import to_onnx
from pocketcnn.runtimes import Machine, get_runtime
from pocketcnn.runtimes.openvino_runtime import OpenVinoRuntime, session_settings
from tests.support.onnx_files import classifier, int8_convolution, model
from tests.support.runtime_networks import float_network, images

RUNTIME = OpenVinoRuntime()

SATURATING = {  # two neighbouring products of 255 x 127 exceed int16
    "pointwise": (np.full((4, 16, 1, 1), 127), 1),
    "spatial": (np.full((4, 16, 3, 3), 127), 1),
    "depthwise": (np.full((16, 1, 3, 3), 127), 16),
    "mixed signs": (np.random.default_rng(0).choice([-128, 127], (16, 32, 1, 1)), 1),
}


@pytest.mark.parametrize("name", SATURATING)
def test_int8_answers_are_those_of_integer_arithmetic_on_every_cpu(name: str) -> None:
    weight, group = SATURATING[name]
    image = np.full((1, weight.shape[1] * group, 5, 5), 255, np.float32)
    sums = 255 * weight.astype(np.int64).sum((1, 2, 3))
    scale = float(abs(sums).max() / 200)
    expected = np.clip(np.rint(sums / scale), 0, 255) * scale
    result = RUNTIME.build(int8_convolution(weight, scale, group), threads=1).run(image)
    np.testing.assert_allclose(result, np.broadcast_to(expected[None, :, None, None], result.shape), rtol=1e-6)


@pytest.mark.parametrize(
    ("architecture", "flags", "inexact"),
    [("x86_64", ("avx2",), True), ("x86_64", ("avx512_vnni",), False), ("aarch64", ("asimddp",), False)],
)
def test_integer_kernels_are_off_only_where_they_saturate(
    architecture: str, flags: tuple[str, ...], inexact: bool
) -> None:
    settings = session_settings(Machine("a CPU", flags, 1, "Linux 6", architecture))
    assert ("LP_TRANSFORMS_MODE" in settings) == inexact


def test_a_session_computes_in_float32_with_one_stream_and_says_so() -> None:
    session = RUNTIME.build(classifier(), threads=2)
    assert session.info.settings["INFERENCE_PRECISION_HINT"] == "f32"
    assert session.info.settings["NUM_STREAMS"] == "1"
    assert session.info.version == openvino.__version__.split("-")[0]


def test_a_file_with_functions_runs_too() -> None:
    """The smallest files have repeated groups of operators as functions, which OpenVINO does not know by itself."""
    name = "domain"
    twice = helper.make_function(
        name, "Twice", ["x"], ["y"], [helper.make_node("Add", ["x", "x"], ["y"])], [helper.make_opsetid("", 17)]
    )
    nodes = [helper.make_node("Twice", ["x"], ["y"], domain=name)]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 3, 4, 4])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", 3, 4, 4])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(name, 1)]
    proto = helper.make_model(graph, opset_imports=opsets, functions=[twice], ir_version=8)
    x = images(2).numpy()[:, :, :4, :4].copy()
    np.testing.assert_allclose(RUNTIME.build(proto.SerializeToString(), threads=1).run(x), 2 * x)


def test_a_network_exported_for_onnxruntime_runs_alike() -> None:
    data = to_onnx(float_network().graph).SerializeToString()
    batch = images(4).numpy()
    other = get_runtime("onnxruntime").build(data, threads=1).run(batch)
    np.testing.assert_allclose(RUNTIME.build(data, threads=1).run(batch), other, atol=1e-4)


def test_free_height_and_width_are_told_as_such() -> None:
    assert RUNTIME.build(classifier(size="side"), threads=1).input_shape == (None, 3, None, None)


def identity(inputs: dict, outputs: int = 1) -> bytes:
    nodes = [helper.make_node("Sum", list(inputs), [f"y{i}"]) for i in range(outputs)]
    return model(nodes, {}, inputs, {f"y{i}": next(iter(inputs.values())) for i in range(outputs)})


IMAGE = [1, 3, 4, 4]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (identity({"a": IMAGE, "b": IMAGE}), r"has 2 inputs \(a, b\)"),
        (identity({"a": IMAGE}, outputs=2), r"has 2 outputs"),
        (identity({"a": [1, 3]}), r"must be a float32 tensor \(N, C, H, W\)"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "OpenVINO cannot load the ONNX model: Unable to read the model"),
    ],
    ids=["two inputs", "two outputs", "no image", "not ONNX"],
)
def test_what_cannot_be_run_is_refused_in_one_line(data: bytes, message: str, capfd) -> None:
    with pytest.raises(PocketcnnError, match=message) as caught:
        RUNTIME.build(data, threads=1)
    assert "\n" not in str(caught.value)
    assert ".cpp" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_without_the_library_it_says_what_installs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(OpenVinoRuntime, "library", "openvino_that_is_absent")
    assert RUNTIME.available() == "it is not installed: pip install 'pocketcnn[openvino]'"
    path = tmp_path / "model.onnx"
    path.write_bytes(classifier())
    with pytest.raises(MissingExtra, match=r"pip install 'pocketcnn\[openvino\]'"):
        RUNTIME.build(path, threads=1)


def test_an_activation_after_a_concatenation_compiles_in_integers(tmp_path: Path) -> None:
    """OpenVINO's low-precision passes crashed the process where the value between the two had a format of its own."""
    network = pc.create("squeezenet1_1", classes=5).eval()
    quantized = pc.quantize(pc.GraphNetwork(pc.capture(network, (1, 3, 64, 64))), torch.randn(4, 3, 64, 64)).eval()
    session = RUNTIME.build(RUNTIME.write(quantized, tmp_path / "model.onnx"), threads=1)
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = quantized(x).numpy()
    np.testing.assert_allclose(session.run(x.numpy()), expected, atol=0.1 * np.abs(expected).max())


class ReadTwice(torch.nn.Module):
    """A value that is joined with another and read by its convolution too, as in the cells of NASNet."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = (
            torch.nn.Conv2d(*sizes, 3, padding=1) for sizes in ((3, 8), (8, 8), (16, 8))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        once = self.first(x)
        joined = torch.cat([once, self.second(once)], 1)
        return self.last(torch.relu(joined)).mean((2, 3))


def test_an_activation_of_a_concatenation_that_others_read_compiles_in_integers(tmp_path: Path) -> None:
    """It crashed in OpenVINO 2026.4 too: integers became integers of another scale with nothing between."""
    torch.manual_seed(0)
    x = torch.randn(4, 3, 20, 20)
    quantized = pc.quantize(pc.GraphNetwork(pc.capture(ReadTwice().eval(), (1, 3, 20, 20))), x).eval()
    session = RUNTIME.build(RUNTIME.write(quantized, tmp_path / "model.onnx"), threads=1)
    with torch.inference_mode():
        expected = quantized(x).numpy()
    np.testing.assert_allclose(session.run(x.numpy()), expected, atol=0.02 * np.abs(expected).max())

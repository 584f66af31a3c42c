"""An int8 ONNX file is right where it is opened without options, also on x86 processors that saturate int8 weights."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import pocketcnn as pc
from pocketcnn.compression.quantization.settings import QuantizeSettings
from pocketcnn.formats.onnx.saturation import saturates, saturating_layers
from pocketcnn.formats.onnx.writer import to_onnx
from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.pipeline.deploy.export import WrongFile, export_checked
from pocketcnn.runtimes import get_runtime
from pocketcnn.runtimes.file_check import check_file
from tests.support.onnx_files import int8_convolution


class Saturating(nn.Module):
    """Weights of one sign behind bright images: the sums of pairs are as large as they can be. One layer is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.twice, self.fc = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 16, 1), nn.Linear(16, 5)
        for layer, size in ((self.stem, 27), (self.twice, 16), (self.fc, 16)):
            signs = torch.where(torch.arange(len(layer.weight)) % 2 == 0, 1.0, -1.0)
            shape = (-1, *[1] * (layer.weight.ndim - 1))
            layer.weight.data = (layer.weight.data.abs().clamp(min=0.05) * signs.reshape(shape)) * 6 / size
            layer.weight.data[..., 0] += 0.1

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        x = torch.relu(self.twice(torch.relu(self.twice(x))))
        result: Tensor = self.fc(x.mean((2, 3)))
        return result


def network() -> GraphNetwork:
    torch.manual_seed(0)
    module = Saturating().eval()
    found = GraphNetwork(capture(module, (1, 3, 8, 8))).eval()
    return pc.quantize(found, bright(64)).eval()


def bright(count: int) -> Tensor:
    return 1.5 + torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def answers(model: bytes, **settings: str) -> Tensor:
    options = onnxruntime.SessionOptions()
    for key, value in settings.items():
        options.add_session_config_entry(f"session.{key}", value)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"input": bright(8).numpy()})[0])


@pytest.mark.parametrize("settings", [{}, {"x64quantprecision": "1"}, {"x64quantprecision": "0"}], ids=str)
def test_a_file_is_right_in_every_session(settings: dict[str, str], tmp_path: Path) -> None:
    """Also with a layer that is used twice, which ONNX Runtime's own setting refuses with int8 weights."""
    quantized = network()
    path = export_checked(quantized, "onnx", tmp_path / "net.onnx", images=bright(8)).path
    with torch.no_grad():
        expected = quantized(bright(8))
    assert (answers(path.read_bytes(), **settings) - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert saturating_layers(path.read_bytes()) == ()


def test_int8_weights_are_told_to_be_wrong_on_every_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where this processor does not saturate, the file still says so."""
    quantized, runtime = network(), get_runtime("onnxruntime")
    path = tmp_path / "net.onnx"
    path.write_bytes(to_onnx(quantized.graph, weights="int8").SerializeToString())
    assert len(saturating_layers(path.read_bytes())) == 3
    problem = check_file(quantized, path, runtime).problem
    assert "can saturate in int16" in problem or "worst error" in problem
    monkeypatch.setattr("pocketcnn.formats.onnx.writer._HIGHEST_EXACT", 127)
    with pytest.raises(WrongFile, match=r"can saturate in int16|worst error"):
        export_checked(quantized, "onnx", tmp_path / "other.onnx")


def test_weights_of_seven_bits_stay_int8_and_do_not_saturate(tmp_path: Path) -> None:
    torch.manual_seed(0)
    found = GraphNetwork(capture(Saturating().eval(), (1, 3, 8, 8))).eval()
    quantized = pc.quantize(found, bright(64), settings=QuantizeSettings(weight_bits=7)).eval()
    exported = export_checked(quantized, "onnx", tmp_path / "net.onnx", images=bright(8))
    assert saturating_layers(exported.path.read_bytes()) == ()
    assert exported.check.problem == ""


weights = st.lists(st.integers(-127, 127), min_size=2, max_size=24)


@given(weights, st.randoms(use_true_random=False), st.booleans())
def test_no_pair_leaves_int16_where_the_weights_are_said_not_to_saturate(row: list[int], random, extreme: bool) -> None:
    """vpmaddubsw in NumPy, with any activations and any order of the channels."""
    if saturates(np.array([row], np.int8).reshape(1, -1, 1, 1)):
        extremes = sorted(row)
        ends = (sum(max(w, 0) for w in extremes[-2:]), sum(min(w, 0) for w in extremes[:2]))
        assert any(not -(1 << 15) <= 255 * end < 1 << 15 for end in ends), "some activations do saturate"
        return
    order = random.sample(row, len(row))
    activations = [255 if extreme else random.randint(0, 255) for _ in order]
    products = [weight * value for weight, value in zip(order, activations, strict=True)]
    assert all(-(1 << 15) <= first + second < 1 << 15 for first, second in pairwise(products))


@pytest.mark.parametrize(
    ("shape", "value", "expected"),
    [((4, 4, 1, 1), 127, True), ((4, 4, 1, 1), 64, False), ((4, 1, 3, 3), 127, False), ((4, 4, 3, 3), -65, True)],
)
def test_the_layers_that_can_saturate_are_found(shape: tuple[int, ...], value: int, expected: bool) -> None:
    group = 4 if shape[1] == 1 else 1
    assert bool(saturating_layers(int8_convolution(np.full(shape, value), 1.0, group))) is expected

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import helper

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.runtimes import Machine, this_machine
from pocketcnn.runtimes.onnxruntime_runtime import OnnxRuntime, exact_int8_settings
from tests.support.onnx_files import classifier, classifier_weights, int8_convolution, model

RUNTIME = OnnxRuntime()


def reference(images: np.ndarray) -> np.ndarray:
    """`classifier` in numpy."""
    weight, dense = classifier_weights()
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    features = np.einsum("nchwij,kcij->nkhw", windows, weight)
    return np.maximum(features, 0).mean((2, 3)) @ dense


@pytest.mark.parametrize("batch", [1, 3])
def test_a_file_runs_on_batches_of_any_size(tmp_path, batch):
    path = tmp_path / "net.onnx"
    path.write_bytes(classifier())
    images = np.random.default_rng(1).standard_normal((batch, 3, 8, 8), dtype=np.float32)
    session = RUNTIME.build(path, threads=1)
    assert session.input_shape == (None, 3, 8, 8)
    np.testing.assert_allclose(session.run(images), reference(images), atol=1e-5)
    np.testing.assert_array_equal(session.run(images), RUNTIME.build(str(path), threads=1).run(images))


def test_free_height_and_width_are_told_as_such():
    assert RUNTIME.build(classifier(size="side"), threads=1).input_shape == (None, 3, None, None)


def test_the_session_says_what_runs():
    info = RUNTIME.build(classifier(), threads=2).info
    assert (info.runtime, info.version, info.threads) == ("onnxruntime", onnxruntime.__version__, 2)


SATURATING = {  # two neighbouring products of 255 x 127 exceed int16
    "pointwise": (np.full((4, 16, 1, 1), 127), 1),
    "spatial": (np.full((4, 16, 3, 3), 127), 1),
    "one channel": (np.full((8, 1, 3, 3), 127), 1),
    "grouped": (np.full((8, 8, 1, 1), -127), 2),
    "depthwise": (np.full((16, 1, 3, 3), 127), 16),
    "mixed signs": (np.random.default_rng(0).choice([-128, 127], (16, 32, 1, 1)), 1),
}


@pytest.mark.parametrize("name", SATURATING)
def test_int8_answers_are_those_of_integer_arithmetic_on_every_cpu(name):
    weight, group = SATURATING[name]
    image = np.full((1, weight.shape[1] * group, 5, 5), 255, np.float32)
    sums = 255 * weight.astype(np.int64).sum((1, 2, 3))
    scale = float(max(abs(sums).max(), 1) / 200)
    expected = np.clip(np.rint(sums / scale), 0, 255) * scale
    result = RUNTIME.build(int8_convolution(weight, scale, group), threads=1).run(image)
    np.testing.assert_allclose(result, np.broadcast_to(expected[None, :, None, None], result.shape), rtol=1e-6)


@pytest.mark.skipif(not exact_int8_settings(this_machine()), reason="this CPU multiplies int8 exactly by itself")
def test_onnxruntime_needs_the_setting_on_this_cpu():
    weight, _ = SATURATING["pointwise"]
    plain = onnxruntime.InferenceSession(int8_convolution(weight, 4096), providers=["CPUExecutionProvider"])
    result = plain.run(None, {"image": np.full((1, 16, 5, 5), 255, np.float32)})[0]
    assert result.max() < 0.6 * 255 * 127 * 16


@pytest.mark.parametrize(
    ("architecture", "flags", "expected"),
    [
        ("x86_64", ("avx2",), {"session.x64quantprecision": "1"}),
        ("AMD64", (), {"session.x64quantprecision": "1"}),
        ("x86_64", ("avx2", "avx_vnni"), {}),
        ("x86_64", ("avx512f", "avx512_vnni"), {}),
        ("aarch64", ("asimddp",), {}),
    ],
)
def test_the_int8_setting_follows_the_cpu(architecture, flags, expected):
    assert exact_int8_settings(Machine("a CPU", flags, 1, "Linux 6", architecture)) == expected


def identity(inputs: dict, outputs: int = 1) -> bytes:
    nodes = [helper.make_node("Sum", list(inputs), [f"y{i}"]) for i in range(outputs)]
    return model(nodes, {}, inputs, {f"y{i}": next(iter(inputs.values())) for i in range(outputs)})


IMAGE = [1, 3, 4, 4]
REFUSED = {
    "two inputs": (identity({"a": IMAGE, "b": IMAGE}), r"has 2 inputs \(a, b\)"),
    "two outputs": (identity({"a": IMAGE}, outputs=2), r"has 2 outputs \(y0, y1\)"),
    "no image": (identity({"a": [1, 3]}), r"must be a float32 tensor \(N, C, H, W\)"),
    "not ONNX": (b"\x89PNG\r\n\x1a\n" + bytes(100), "cannot load"),
    "empty": (b"", "cannot load"),
    "truncated": (classifier()[:-200], "cannot load"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("from_file", [True, False])
def test_what_cannot_be_run_is_refused_in_one_line(case, from_file, tmp_path, capfd):
    data, message = REFUSED[case]
    path = tmp_path / "net.onnx"
    path.write_bytes(data)
    with pytest.raises(PocketcnnError, match=message) as caught:
        RUNTIME.build(path if from_file else data, threads=1)
    text = str(caught.value)
    assert "\n" not in text
    assert "ONNXRuntimeError" not in text
    assert (str(path) in text) == from_file
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("artefact", ["missing.onnx", Path("missing.onnx"), 3, np.zeros(3)])
def test_a_wrong_artefact_is_a_wrong_use(artefact):
    with pytest.raises(UsageError, match=r"There is no file missing\.onnx|takes an \.onnx file, not a"):
        RUNTIME.build(artefact, threads=1)


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(UsageError, match="There is no file"):
        RUNTIME.build(tmp_path, threads=1)


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (1, 3, 9, 8), (3, 8, 8)])
def test_a_batch_that_does_not_fit_is_refused_quietly(shape, capfd):
    session = RUNTIME.build(classifier(), threads=1)
    with pytest.raises(PocketcnnError, match="cannot run a batch of shape"):
        session.run(np.zeros(shape, np.float32))
    assert capfd.readouterr() == ("", "")


def test_a_failure_inside_the_network_is_told_without_a_log(capfd):
    """The file fixes a reshape that only one size of image fits."""
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    shapes = {"x": ["N", 3, "H", "W"]}, {"y": ["M", 48]}
    session = RUNTIME.build(model(nodes, {"shape": np.array([1, 48], np.int64)}, *shapes), threads=1)
    assert session.run(np.zeros((1, 3, 4, 4), np.float32)).shape == (1, 48)
    with pytest.raises(PocketcnnError, match=r"cannot run a batch of shape \(1, 3, 5, 5\)") as caught:
        session.run(np.zeros((1, 3, 5, 5), np.float32))
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_closed_session_says_so():
    session = RUNTIME.build(classifier(), threads=1)
    session.close()
    session.close()
    with pytest.raises(PocketcnnError, match="closed"):
        session.run(np.zeros((1, 3, 8, 8), np.float32))


def test_read_only_batches_run_without_a_warning():
    batch = np.zeros((1, 3, 8, 8), np.float32)
    batch.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert RUNTIME.build(classifier(), threads=1).run(batch).shape == (1, 4)

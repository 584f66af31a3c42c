"""Every export runs what it wrote: a writer that gets one tensor wrong is caught, in every format, and leaves no file."""

import json
from pathlib import Path
from unittest import mock

import numpy as np
import onnx
import pytest
import torch
from torch import nn

import pocketcnn as pc
from pocketcnn.data import infer_contract, scan
from pocketcnn.errors import PocketcnnError
from pocketcnn.graph import GraphNetwork, InputContract, ModelInfo, capture
from pocketcnn.graph.model_file import save
from pocketcnn.pipeline.deploy.export import FORMATS, WrongFile, export, export_checked, runtime_of_format
from pocketcnn.pipeline.sidecar import read_sidecar, sidecar_path
from pocketcnn.runtimes import get_runtime
from pocketcnn.runtimes.check_images import check_images, input_range
from pocketcnn.runtimes.file_check import check_file, unseen_layers
from tests.support.cli import document, fail, succeed
from tests.support.pipeline import LITTLE
from tests.support.runtime_networks import SHAPE, images, network_of
from tests.support.writer_faults import FAULTS, is_tensor, writing

NUMERICS = ("float32", "int8")
SLOW = "executorch"
MUTANTS_OF_SLOW = 2
"""Each takes four seconds there."""


def tiny(numerics: str) -> GraphNetwork:
    """Two layers, for a runtime whose export takes seconds for each."""
    torch.manual_seed(3)
    layers = (nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    network = GraphNetwork(capture(nn.Sequential(*layers).eval(), (1, *SHAPE))).eval()
    return network if numerics == "float32" else pc.quantize(network, images(64, seed=6)).eval()


def written_tensors(network: GraphNetwork, runtime: str, folder: Path) -> dict[str, np.ndarray]:
    """The tensors that the writer writes, by name."""
    found: dict[str, np.ndarray] = {}

    def see(array: np.ndarray, name: str) -> np.ndarray:
        if is_tensor(array, name):
            found[name] = array
        return array

    with writing(runtime, see):
        get_runtime(runtime).write(network, folder / f"right{get_runtime(runtime).suffix}")
    return found


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow, id="all"), pytest.param(3, id="third")])
@pytest.mark.parametrize("numerics", NUMERICS)
@pytest.mark.parametrize("to", FORMATS)
def test_a_writer_that_gets_one_tensor_wrong_is_caught(to: str, numerics: str, every: int, tmp_path: Path) -> None:
    """All tensors with all faults, or every third of these: three and the number of faults have no common divisor."""
    runtime = runtime_of_format(to)
    network = tiny(numerics) if runtime.name == SLOW else network_of(numerics)
    tensors = written_tensors(network, runtime.name, tmp_path)
    assert len(tensors) >= len([name for name in network.graph.tensors if name.endswith("weight")])
    cases = [(name, fault) for name in tensors for fault in FAULTS]
    if runtime.name == SLOW:
        cases = cases[:: len(FAULTS) + 1]
        cases = cases[:MUTANTS_OF_SLOW] if every > 1 else cases
    else:
        cases = cases[::every]
    survived = []
    for name, fault in cases:
        if np.array_equal(FAULTS[fault](tensors[name]), tensors[name]):
            continue

        def change(array: np.ndarray, hint: str, name: str = name, fault: str = fault) -> np.ndarray:
            return FAULTS[fault](array) if hint == name and is_tensor(array, hint) else array

        out = tmp_path / "out" / f"model{runtime.suffix}"
        with writing(runtime.name, change):
            try:
                export_checked(network, to, out)
            except PocketcnnError as error:
                unnamed = isinstance(error, WrongFile) and "cannot load" not in str(error)
                if unnamed and "first that differs is" not in str(error):
                    survived.append(f"{name} {fault}: no layer in {error}")
            else:
                survived.append(f"{name} {fault}")
        assert not out.exists() or survived
        assert not list(out.parent.glob("*")) or survived, "nothing is left behind"
    assert not survived


@pytest.mark.parametrize("numerics", NUMERICS)
@pytest.mark.parametrize("to", FORMATS)
def test_a_right_file_is_kept_and_says_so(to: str, numerics: str, tmp_path: Path) -> None:
    runtime = runtime_of_format(to)
    network = tiny(numerics) if runtime.name == SLOW else network_of(numerics)
    exported = export_checked(network, to, tmp_path / f"model{runtime.suffix}", images=images(20))
    assert (exported.check.problem, exported.check.unchecked, exported.check.unseen) == ("", "", ())
    assert exported.check.images >= 8
    assert exported.check.worst_error <= exported.check.bound
    assert f"Checked on {runtime.name}" in exported.check.words()
    assert sorted(path.suffix for path in tmp_path.iterdir()) == sorted((runtime.suffix, *runtime.companions))


def negated_stem(array: np.ndarray, name: str) -> np.ndarray:
    return FAULTS["negated"](array) if name.startswith("0.weight") and "scale" not in name else array


@pytest.mark.parametrize("numerics", NUMERICS)
def test_a_wrong_file_is_kept_only_by_force_and_the_record_says_so(numerics: str, tmp_path: Path) -> None:
    network = GraphNetwork(network_of(numerics).graph, info()).eval()
    path, model = tmp_path / "out" / "net.onnx", tmp_path / "model.safetensors"

    save(model, network)
    with writing("onnxruntime", negated_stem):
        message = fail(1, "export", model, "--out", path)
        assert "was not written" in message
        assert "the worst error of its outputs is" in message or "a layer computes other values" in message
        assert "the first that differs is" in message
        assert not path.exists()
        assert not sidecar_path(path).exists()
        found = document("export", model, "--out", path, "--force")
    assert "the first that differs is" in found["check"]["problem"]
    assert path.is_file()
    assert read_sidecar(path).check == pytest.approx(read_sidecar(path).check)
    assert json.loads(sidecar_path(path).read_text())["check"]["problem"] == found["check"]["problem"]
    with writing("onnxruntime", negated_stem):
        assert "WARNING: The file does not compute" in succeed("export", model, "--out", path, "--force").stdout
        with pytest.warns(UserWarning, match="does not compute what the network computes"):
            export(network, "onnx", path, force=True)


def info() -> ModelInfo:
    contract = InputContract(channels=3, height=16, width=16, mean=(0.5, 0.4, 0.5), std=(0.25, 0.2, 0.25))
    return ModelInfo(input=contract, classes=tuple("abcde"))


def test_an_absent_runtime_is_said_to_be_absent(tmp_path: Path) -> None:
    network = GraphNetwork(network_of("float32").graph, info()).eval()
    with (
        mock.patch("pocketcnn.runtimes.ncnn_runtime.NcnnRuntime.available", return_value="it is not installed: pip"),
        pytest.warns(UserWarning, match="was not checked: ncnn is not there to run it: it is not installed: pip"),
    ):
        path = export(network, "ncnn", tmp_path / "net.param")
    check = read_sidecar(path).check
    assert check is not None
    assert "not installed" in check.unchecked


def test_a_file_that_does_not_load_or_has_other_outputs_is_wrong(tmp_path: Path) -> None:
    network, runtime = network_of("float32"), get_runtime("onnxruntime")
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    assert "cannot load" in check_file(network, tmp_path / "broken.onnx", runtime).problem
    other = GraphNetwork(capture(nn.Sequential(nn.Flatten(), nn.Linear(768, 7)).eval(), (1, *SHAPE)))
    path = runtime.write(other, tmp_path / "other.onnx")
    assert "have the shape (8, 7), the network's (8, 5)" in check_file(network, path, runtime).problem


def dead() -> GraphNetwork:
    """The second layer sees only zeros: with its bias the outputs are right, whatever its weight is."""
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    network = nn.Sequential(*layers).eval()
    with torch.no_grad():
        network[0].bias -= 100
    return GraphNetwork(capture(network, (1, *SHAPE))).eval()


@pytest.mark.parametrize("to", ["onnx", "openvino", "litert", "ncnn"])
def test_a_layer_that_changes_no_output_is_compared_by_itself(to: str, tmp_path: Path) -> None:
    """The first layer is behind a ReLU that gives zeros: no image shows at the outputs what it computes."""
    network, runtime = dead(), runtime_of_format(to)
    assert unseen_layers(network, check_images(network), 1e-4)[0] == "0"

    def change(array: np.ndarray, name: str) -> np.ndarray:
        return array * np.float32(0.5) if array.shape[-1:] == (3,) and array.size == 108 else array

    with writing(runtime.name, change), pytest.raises(WrongFile, match="first that differs is 0"):
        export_checked(network, to, tmp_path / f"net{runtime.suffix}")


@pytest.mark.parametrize("given", [0, 3, 100])
def test_the_images_reach_both_ends_of_the_input(given: int) -> None:
    network = GraphNetwork(network_of("float32").graph, info())
    batch = check_images(network, images(given) if given else None)
    low, high = input_range(network)
    assert low.flatten().tolist() == pytest.approx([-2, -2, -2])
    assert high.flatten().tolist() == pytest.approx([2, 3, 2])
    assert any(bool((image == low).all()) for image in batch)
    assert any(bool((image == high).all()) for image in batch)
    assert len(batch) == {0: 8, 3: 7, 100: 10}[given]


@pytest.fixture
def classifier(digits: Path) -> GraphNetwork:
    """Untrained, for the digits."""
    folder = scan(digits, seed=0)
    contract = infer_contract(folder)
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    info = ModelInfo(input=contract, classes=folder.classes)
    return GraphNetwork(capture(nn.Sequential(*layers, nn.Linear(8, 3)).eval(), (1, *contract.shape)), info).eval()


def negated_first(array: np.ndarray, name: str) -> np.ndarray:
    return FAULTS["negated"](array) if name.startswith("0.weight") and "scale" not in name else array


def test_compress_hands_over_no_wrong_file(classifier: GraphNetwork, digits: Path, tmp_path: Path) -> None:
    with writing("onnxruntime", negated_first):
        with pytest.raises(WrongFile, match="first that differs is 0"):
            pc.compress(classifier, digits, "macs<=100%", tmp_path, effort=LITTLE)
        left = {path.name for path in tmp_path.iterdir()}
        assert "model.safetensors" in left, "the network is not lost"
        assert not {"model.onnx", "model.json", "predict.py", "report.html"} & left
        kept = pc.compress(classifier, digits, "macs<=100%", tmp_path, effort=LITTLE, force=True)
    assert kept.check is not None
    assert kept.check.first_difference is not None
    assert any("does not compute what the network computes" in warning for warning in kept.warnings)
    assert "does not compute what the network computes" in (tmp_path / "report.html").read_text()
    assert read_sidecar(tmp_path / "model.onnx").check == kept.check
    right = pc.compress(classifier, digits, "macs<=100%", tmp_path / "right", effort=LITTLE)
    assert right.check is not None
    assert (right.check.problem, right.check.images) == ("", 10)


@pytest.mark.parametrize("numerics", NUMERICS)
@pytest.mark.parametrize("to", ["onnx", "openvino", "litert", "ncnn"])
def test_a_file_that_is_changed_after_its_network_was_written_is_caught(to: str, numerics: str, tmp_path: Path) -> None:
    """Every byte of a weight counts, also where the outputs hardly change."""
    network, runtime = network_of(numerics), runtime_of_format(to)
    path = runtime.write(network, tmp_path / f"net{runtime.suffix}")
    stored = path.with_suffix(runtime.companions[0]) if runtime.companions else path
    right = stored.read_bytes()
    tensors = written_tensors(network, runtime.name, tmp_path)
    large = [value for name, value in tensors.items() if "weight" in name and value.nbytes >= 64]
    assert len(large) >= 3
    for value in large:
        place = right.find(value.tobytes()) + value.nbytes - 1
        assert place >= value.nbytes, "the weight is stored as it is"
        stored.write_bytes(right[:place] + bytes([right[place] ^ 1]) + right[place + 1 :])
        check = check_file(network, path, runtime)
        assert check.problem
        assert check.first_difference is not None
        assert not check.first_difference.startswith("the whole file")
    stored.write_bytes(right)
    assert check_file(network, path, runtime).problem == ""


def test_a_folded_layer_is_named_where_only_the_file_is_wrong(tmp_path: Path) -> None:
    network, runtime = network_of("float32"), get_runtime("onnxruntime")
    path = runtime.write(network, tmp_path / "net.onnx")
    model = onnx.load(path)
    for constant in model.graph.initializer:
        value = onnx.numpy_helper.to_array(constant)
        if value.dtype == np.float32 and value.size > 1:
            constant.CopyFrom(onnx.numpy_helper.from_array(value[::-1].copy(), constant.name))
            path.write_bytes(model.SerializeToString(deterministic=True))
            assert check_file(network, path, runtime).first_difference == "0"

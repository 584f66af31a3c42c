"""Files that are no model files, damaged ones, and ones made to do harm: refused with a sentence, never with a crash."""

import pickle
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from pocketcnn.errors import UsageError
from pocketcnn.graph import model_file
from pocketcnn.graph.model_file import ModelFileError, load
from tests.support.model_files import Json, Tensors, parts, written


def refusal(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        load(path)
    message = str(caught.value)
    assert str(path) in message
    return message


def test_the_good_file_is_good_also_when_written_by_these_tests(tiny_file: Path, tmp_path: Path) -> None:
    header, tensors = parts(tiny_file)
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(load(written(tmp_path / "f", header, tensors)).eval()(images), load(tiny_file).eval()(images))


# Not model files at all ---------------------------------------------------------------------------------------


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no file .*absent"):
        load(tmp_path / "absent.safetensors")
    with pytest.raises(UsageError, match="is a folder"):
        load(tmp_path)
    with pytest.raises(ModelFileError, match="Cannot read"):
        load("nul\0byte")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_is_never_opened(zipped: bool, tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    class Hostile:
        def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
            return (Path.touch, (ran,))  # type: ignore[return-value]

    path = tmp_path / "model.pt"
    torch.save(Hostile(), path) if zipped else path.write_bytes(pickle.dumps(Hostile()))
    assert "which can execute code" in refusal(path)
    assert not ran.exists()


@pytest.mark.parametrize("data", [b"", b"abc", b"\x00" * 8, b"\x00" * 100, b"text, and some more of it", b"\xff" * 64])
def test_other_files(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert "safetensors" in refusal(path) or "JSON" in refusal(path)


def test_safetensors_of_other_libraries(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file({"a": torch.zeros(3)}, path, {"format": "pt"})
    assert "holds tensors but no graph" in refusal(path)
    safetensors.torch.save_file({"a": torch.zeros(3)}, path)
    assert "holds tensors but no graph" in refusal(path)


def test_every_truncation_and_any_extra_byte_is_noticed(tiny_file: Path, tmp_path: Path) -> None:
    data, path = tiny_file.read_bytes(), tmp_path / "cut"
    for length in {*range(0, len(data), 37), len(data) - 1}:
        path.write_bytes(data[:length])
        refusal(path)
    path.write_bytes(data + b"\0")
    assert "truncated or damaged" in refusal(path)


def test_an_oversized_header_and_file(tiny_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "big"
    path.write_bytes((model_file.MAX_HEADER_BYTES + 1).to_bytes(8, "little") + b"{" * 100)
    assert "too large" in refusal(path)
    path.write_bytes((2**63).to_bytes(8, "little") + b"{}")
    assert "too large" in refusal(path)
    monkeypatch.setattr(model_file, "MAX_FILE_BYTES", 1000)
    assert "at most 1000" in refusal(tiny_file)


# Headers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        ("[]", "not a JSON object"),
        ("{", "not valid JSON"),
        ('{"version": 1', "not valid JSON"),
        ('{"version": 1, "version": 1}', "a key occurs twice"),
        ('{"version": NaN}', "NaN is not a number"),
        ('{"version": 1e999}', "out of range"),
        ('{"version": ' + "9" * 5000 + "}", "not valid JSON"),
        ('{"version": "\\ud800"}', "not valid JSON"),
        ('{"version": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ('{"version": ' + "[" * 200 + "]" * 200 + "}", "nested too deeply"),
        ('{"version": ' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "}", "nested too deeply"),
        ("{}", "format version is None"),
        ('{"version": 0}', "format version is 0"),
        ('{"version": true}', "format version is True"),
        ('{"version": "1"}', "format version is '1'"),
        ('{"version": 3}', "written by a newer version of pocketcnn"),
        ('{"version": 2}', "coding None; this version decodes 'lzma', 'range'"),
        ('{"version": 2, "coding": "zpaq"}', "Upgrade with"),
        ('{"version": 2, "coding": "lzma", "more": 1}', "written by a newer version of pocketcnn"),
        ('{"version": 2, "coding": "lzma"}', "does not hold exactly one tensor 'coded'"),
        ('{"version": 1}', "Field required"),
    ],
)
def test_headers_that_are_not_of_the_format(text: str, message: str, tmp_path: Path) -> None:
    assert message in refusal(written(tmp_path / "f", text, {"conv.weight": torch.zeros(1)}))


def test_a_huge_but_flat_header_is_refused_in_little_time(tiny_file: Path, tmp_path: Path) -> None:
    header, tensors = parts(tiny_file)
    header["nodes"] = [[f"n{i}", "relu", [0], [], []] for i in range(50_000)]
    started = time.process_time()
    assert "at most 20000" in refusal(written(tmp_path / "f", header, tensors))
    assert time.process_time() - started < 20  # seconds; it takes a tenth of one


def _row(header: Json, op: str) -> list[Any]:
    return next(row for row in header["nodes"] if row[1] == op)


def _set(path: str, value: Any) -> Callable[[Json, Tensors], None]:
    """Set ``a.0.b`` of the header; a first part ``@conv2d`` means that node's array."""

    def change(header: Json, tensors: Tensors) -> None:
        first, *rest = path.split(".")
        target: Any = header
        keys: list[Any] = [int(key) if key.isdigit() else key for key in [first, *rest]]
        if first.startswith("@"):
            target, keys = _row(header, first[1:]), keys[1:]
        for key in keys[:-1]:
            target = target[key]
        target[keys[-1]] = value

    return change


def _tensor(name: str, value: Tensor | None) -> Callable[[Json, Tensors], None]:
    def change(header: Json, tensors: Tensors) -> None:
        if value is None:
            del tensors[name]
        else:
            tensors[name] = value

    return change


HOSTILE: list[tuple[Callable[[Json, Tensors], None], str]] = [
    (_set("surprise", 1), "Extra inputs are not permitted"),
    (_set("nodes", []), "at least 1"),
    (_set("shape", []), "0 axes"),
    (_set("shape", [3, 8]), r"must be \(C, H, W\)"),
    (_set("shape", [3, 0, 8]), "is empty"),
    (_set("shape", [3, -8, -8]), "is empty"),
    (_set("shape", [3, 8.5, 8]), "valid integer"),
    (_set("shape", [3, 10**6, 10**6]), "too large"),
    (_set("shape", [3] * 100_000), "axes"),
    (_set("shape", "388"), "valid tuple"),
    (_set("output", 6), "refers to node 6"),
    (_set("output", -1), "refers to node -1"),
    (_set("output", 2), "does not depend on some of its operations"),
    (_set("@conv2d.1", "eval"), "unknown operation 'eval'"),
    (_set("@relu.1", "__class__"), "unknown operation"),
    (_set("@relu.1", "input"), "first node must be the input, and no other"),
    (_set("@relu.0", "conv"), "an earlier node has the same name"),
    (_set("@relu.0", ""), "at least 1 character"),
    (_set("@relu.0", "x" * 10_000), "at most 512"),
    (_set("@relu.2", [2]), "refers to node 2"),  # itself
    (_set("@relu.2", [5]), "refers to node 5"),  # a later one
    (_set("@relu.2", [-1]), "refers to node -1"),
    (_set("@relu.2", []), "0 inputs instead of 1"),
    (_set("@relu.2", [1, 1]), "2 inputs instead of 1"),
    (_set("@relu.3", [1]), "1 attributes"),
    (_set("@relu.4", [1]), "1 tensors"),
    (_set("@conv2d.3", []), "0 attributes"),
    (_set("@conv2d.3.0", [0, 1]), "must be 1 or more"),
    (_set("@conv2d.3.0", [2**40, 1]), "must be two integers"),
    (_set("@conv2d.3.0", True), "must be two integers"),
    (_set("@conv2d.3.0", "11"), "invalid at nodes.1.3.0"),
    (_set("@conv2d.3.0", [1, None]), "invalid at nodes.1.3.0"),
    (_set("@conv2d.3.1", [2**31 - 1, 2**31 - 1]), "too large"),
    (_set("@conv2d.3.3", 0), "must be 1 or more"),
    (_set("@conv2d.3.3", 3), "does not fit 3 input"),
    (_set("@conv2d.4", []), "no tensor for weight"),
    (_set("@conv2d.4", [7, 1]), "has 7 for its weight"),
    (_set("@conv2d.4", ["fc.weight", 1]), "the weight has shape"),
    (_set("@conv2d.4", ["absent", 1]), "the tensor 'absent', is missing"),
    (_set("@linear.4", ["fc.weight", "conv.bias"]), "the bias has shape"),
    (_set("@mean.3.0", []), r"axes \(\)"),
    (_set("@mean.3.0", [9]), "axes"),
    (_set("activations.0.0", 99), "refers to node 99"),
    (_set("activations.0.0", 1), "two quantization formats"),
    (_set("activations.0.1", 0.0), "the scale 0.0"),
    (_set("activations.0.1", -1.0), "the scale -1.0"),
    (_set("activations.0.1", 1e-300), "positive float32"),
    (_set("activations.0.1", 1e300), "positive float32"),
    (_set("activations.0.2", 256), "zero point 256"),
    (_set("activations.0.3", 99), "less than or equal to 8"),
    (_set("activations.0", [1, 2]), "Field required"),
    (_set("weights.0.0", "absent"), "no tensor 'absent'"),
    (_set("weights.0.1", "absent"), "or 'absent'"),
    (_set("weights.0.0", "conv.bias"), "must be int8"),
    (_set("weights.0.2", 1), "greater than or equal to 2"),
    (_set("weights.0.2", 4), "integers outside ±7"),
    (_set("weights", []), "not floating point|not used by any operation"),
    (_set("buffers", ["absent"]), "no tensor 'absent'"),
    (_set("buffers", [1]), "valid string"),
    (_set("info.classes", ["a"]), "1 class names"),
    (_set("info.classes", ["a", 2]), "valid string"),
    (_set("info.input.height", 9), "the input contract has images"),
    (_set("info.input.std", [0, 1, 1]), "greater than 0"),
    (_set("info.input.channels", 2), "invalid at info.input.channels"),
    (_set("info.lineage", [{"name": "x", "code": "import os"}]), "Extra inputs"),
    (_tensor("conv.bias", None), "the tensor 'conv.bias', is missing"),
    (_tensor("conv.weight", None), "the tensor 'conv.weight', is missing"),
    (_tensor("conv.weight_scale", None), "no tensor 'conv.weight' or"),
    (_tensor("other", torch.zeros(2)), "'other' is not used by any operation"),
    (_tensor("conv.bias", torch.zeros(5)), "the bias has shape"),
    (_tensor("conv.bias", torch.zeros(4, dtype=torch.int32)), "not floating point"),
    (_tensor("conv.bias", torch.zeros(4, dtype=torch.float16)), "different dtypes"),
    (_tensor("conv.bias", torch.zeros(4, dtype=torch.complex64)), "unsupported dtype"),
    (_tensor("conv.bias", torch.tensor([0, 0, 0, torch.nan])), "NaN or infinity"),
    (_tensor("conv.bias", torch.tensor([0, 0, 0, -torch.inf])), "NaN or infinity"),
    (_tensor("conv.weight", torch.zeros(4, 3, 3, 3)), "must be int8"),
    (_tensor("conv.weight", torch.zeros(4, 3, 3, 3, dtype=torch.uint8)), "must be int8"),
    (_tensor("conv.weight", torch.full((4, 3, 3, 3), -128, dtype=torch.int8)), "integers outside ±127"),
    (_tensor("conv.weight", torch.zeros(4, 2, 3, 3, dtype=torch.int8)), "does not fit 3 input"),
    (_tensor("conv.weight", torch.zeros(0, 3, 3, 3, dtype=torch.int8)), "conv"),
    (_tensor("conv.weight", torch.tensor(1, dtype=torch.int8)), "conv"),
    (_tensor("conv.weight_scale", torch.ones(3)), "wrong shape"),
    (_tensor("conv.weight_scale", torch.zeros(4)), "not all positive"),
    (_tensor("conv.weight_scale", -torch.ones(4)), "not all positive"),
    (_tensor("conv.weight_scale", torch.full((4,), torch.nan)), "not all positive"),
    (_tensor("conv.weight_scale", torch.full((4,), 3e38)), "not all positive"),
    (_tensor("conv.weight_scale", torch.full((4,), 1e-44)), "not all positive"),
    (_tensor("conv.weight_scale", torch.ones(4, dtype=torch.float64)), "must be float32"),
    (_tensor("order", torch.tensor([0, 1, 2, 3, 4, 0])), "int64 indices of its 4 channels"),
    (_tensor("order", torch.tensor([0, 1, 2, 3, -1, 0])), "int64 indices of its 4 channels"),
    (_tensor("order", torch.zeros(6)), "int64 indices of its 4 channels"),
    (_tensor("order", torch.zeros(3, dtype=torch.int64)), "input features|6 features|3 features"),
    (_tensor("order", torch.zeros(0, dtype=torch.int64)), "is empty"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), HOSTILE, ids=[str(i) for i in range(len(HOSTILE))])
def test_hostile_parts(change: Callable[[Json, Tensors], None], message: str, tiny_file: Path, tmp_path: Path) -> None:
    header, tensors = parts(tiny_file)
    change(header, tensors)
    found = refusal(written(tmp_path / "f", header, tensors))
    assert re.search(message, found)


@pytest.mark.parametrize(
    "name",
    ["", ".", "a..b", "forward", "training", "_parameters", "graph", "info.x", "__class__.y", "conv", "fc.weight.x",
     "conv.bias.deeper", ".".join("x" * 100), "\n", "conv.weight\0"],
)  # fmt: skip
def test_tensor_names_cannot_reach_what_they_should_not(name: str, tiny_file: Path, tmp_path: Path) -> None:
    """A name that is possible gives a network that runs; any other is refused."""
    header, tensors = parts(tiny_file)
    tensors[name] = tensors.pop("order")
    _row(header, "gather")[4] = [name]
    path = written(tmp_path / "f", header, tensors)
    if name in ("\n", "conv.weight\0"):
        assert load(path).eval()(torch.zeros(1, 3, 8, 8)).shape == (1, 2)
    else:
        refusal(path)


def test_values_that_grow_from_node_to_node_are_stopped(tiny_file: Path, tmp_path: Path) -> None:
    header, tensors = parts(tiny_file)
    nodes = [["input", "input", [], [], []]]
    nodes += [[f"n{i}", "upsample", [i], [[64, 64]], []] for i in range(10_000)]
    header |= {"nodes": nodes, "output": 10_000, "activations": [], "weights": [], "info": {}}
    assert "'n1' (upsample): a value of shape" in refusal(written(tmp_path / "f", header, {"order": tensors["order"]}))
    nodes = [["input", "input", [], [], []]]
    nodes += [[f"n{i}", "concat", [i, i], [0], []] for i in range(10_000)]
    header["nodes"] = nodes
    assert "(concat): a value of shape" in refusal(written(tmp_path / "f", header, {"order": tensors["order"]}))

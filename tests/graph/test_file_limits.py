"""A damaged file is noticed by its checksum, and no file asks for more memory or time than a network of its size needs."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from pocketcnn.cost import count
from pocketcnn.graph import Graph, GraphNetwork, capture
from pocketcnn.graph.capture.capture import CaptureError
from pocketcnn.graph.limits import LARGEST, check_limits, largest_value, live_elements
from pocketcnn.graph.model_file import CHECKSUM, KEY, ModelFileError, load, save
from pocketcnn.graph.ops import GraphError
from pocketcnn.models import create
from tests.support.model_files import parts, written

FILE = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(data=st.data())
@FILE
def test_one_flipped_bit_never_gives_other_answers(data: st.DataObject, tiny_file: Path, tmp_path: Path) -> None:
    """It is refused, or (in names that are not read) harmless."""
    content = bytearray(tiny_file.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path / "flipped"
    path.write_bytes(bytes(content))
    try:
        found = load(path)
    except ModelFileError:
        return
    assert found.info == load(tiny_file).info
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(found.eval()(images), load(tiny_file).eval()(images))


def test_every_bit_of_the_weights_counts(tiny_file: Path, tmp_path: Path) -> None:
    content, path = tiny_file.read_bytes(), tmp_path / "flipped"
    start = 8 + int.from_bytes(content[:8], "little")
    for place in range(start, len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1
        path.write_bytes(bytes(flipped))
        with pytest.raises(ModelFileError, match="wrong checksum"):
            load(path)


def test_a_file_of_an_earlier_version_has_no_checksum_and_loads(tiny_file: Path, tmp_path: Path) -> None:
    data = tiny_file.read_bytes()
    outer = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert set(outer["__metadata__"]) == {KEY, CHECKSUM}
    header, tensors = parts(tiny_file)
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(load(written(tmp_path / "old", header, tensors))(images), load(tiny_file)(images))


def test_other_libraries_still_read_the_tensors(tiny_file: Path) -> None:
    _, tensors = parts(tiny_file)
    assert safetensors.torch.load_file(tiny_file).keys() == tensors.keys()


@pytest.mark.parametrize("dtype", [[], {}, None, 3, True, "F128", ["F32"]])
def test_a_dtype_of_any_kind_is_refused(dtype: object, tiny_file: Path, tmp_path: Path) -> None:
    data, path = tiny_file.read_bytes(), tmp_path / "f"
    size = int.from_bytes(data[:8], "little")
    outer = json.loads(data[8 : 8 + size])
    next(entry for name, entry in outer.items() if name != "__metadata__")["dtype"] = dtype
    text = json.dumps(outer).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + size :])
    with pytest.raises(ModelFileError, match="unsupported dtype"):
        load(path)


def graph_of(module: nn.Module, *shape: int) -> Graph:
    return capture(module.eval(), (1, *shape))


def test_padding_cannot_ask_for_gigabytes(tmp_path: Path) -> None:
    graph = graph_of(
        nn.Sequential(nn.Conv2d(3, 1, 1, padding=2048), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        3,
        8,
        8,
    )
    with pytest.raises(GraphError, match="too large for a network with so few weights"):
        check_limits(graph)
    with pytest.raises(ModelFileError, match="too large for a network with so few weights"):
        save(tmp_path / "f", GraphNetwork(graph))


class Many(nn.Module):
    """Values that are all needed at the end."""

    def __init__(self, values: int) -> None:
        super().__init__()
        self.values = values

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values = [x * (1 + number) for number in range(self.values)]
        total = x
        for value in reversed(values):
            total = total + value
        return total.mean((2, 3))


def test_many_values_at_once_are_limited() -> None:
    shape = (1, 2048, 2048)  # 2^22 elements a value, and four such values may be needed at once
    check_limits(graph_of(Many(1), *shape))
    with pytest.raises(GraphError, match="at the same time"):
        check_limits(graph_of(Many(5), *shape))


def test_multiply_adds_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketcnn.graph.limits.MAX_MADDS", 10)
    with pytest.raises(GraphError, match="multiply-adds"):
        check_limits(graph_of(nn.Sequential(nn.Flatten(), nn.Linear(12, 1)), 3, 2, 2))


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("vgg16", 224),
        ("nasnet_mobile", 224),
        ("efficientnet_lite4", 300),
        ("mobilenet_v1", 512),
        ("squeezenet1_1", 512),
    ],
)
def test_published_networks_are_far_within(name: str, side: int) -> None:
    with torch.device("meta"):
        module = create(name)
    graph = GraphNetwork(capture(module.to_empty(device="cpu").apply(zeroed).eval(), (1, 3, side, side))).graph
    check_limits(graph)
    assert max(count(graph).peak_activation_bytes // 4, 1) < LARGEST
    assert max(elements for _, elements in live_elements(graph)) < largest_value(graph)


def zeroed(module: nn.Module) -> None:
    """Random weights take longer than the test."""
    for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
        tensor.data.zero_()


def test_weights_that_are_not_finite_are_refused_at_capture() -> None:
    layer = nn.Linear(12, 2)
    for value in (torch.nan, torch.inf, -torch.inf):
        layer.weight.data[0, 0] = value
        with pytest.raises(CaptureError, match=r"'1\.weight' holds NaN or infinity"):
            graph_of(nn.Sequential(nn.Flatten(), layer), 3, 2, 2)

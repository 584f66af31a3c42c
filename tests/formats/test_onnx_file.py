"""What stands in a written ONNX file, and what does not."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.formats.onnx.builder import IR_VERSION, OPSET
from pocketcnn.formats.onnx.writer import to_onnx, write_onnx
from pocketcnn.graph import Graph, GraphNetwork, Node, capture
from pocketcnn.runtimes.onnxruntime_runtime import all_outputs
from tests.support.onnx_support import run, with_formats
from tests.support.small_networks import SHAPE, float_network, images, small_network


def captured(module: nn.Module, shape: tuple[int, ...] = SHAPE) -> Graph:
    torch.manual_seed(0)
    return capture(module.eval(), (1, *shape))


@pytest.fixture(scope="module")
def quantized() -> Graph:
    return with_formats(float_network().graph, images(16))


def test_the_batch_axis_is_free_and_the_rest_is_fixed() -> None:
    model = to_onnx(float_network().graph)
    (given,), (answer,) = model.graph.input, model.graph.output
    axes = [axis.dim_param or axis.dim_value for axis in given.type.tensor_type.shape.dim]
    assert (given.name, axes) == ("input", ["N", *SHAPE])
    axes = [axis.dim_param or axis.dim_value for axis in answer.type.tensor_type.shape.dim]
    assert (answer.name, axes) == ("output", ["N", 5])
    assert (model.opset_import[0].version, model.ir_version) == (OPSET, IR_VERSION) == (17, 8)


def test_nothing_of_training_is_written() -> None:
    model = to_onnx(float_network().graph, names="full")
    assert not {"BatchNormalization", "Dropout"} & {node.op_type for node in model.graph.node}


@pytest.mark.parametrize("names", ["short", "full"])
@torch.no_grad()
def test_both_forms_compute_what_the_graph_does(names: str, quantized: Graph) -> None:
    x = images(5, seed=7)
    for graph in (float_network().graph, quantized):
        torch.testing.assert_close(
            run(to_onnx(graph, names=names), x)[0], GraphNetwork(graph).eval()(x), atol=1e-5, rtol=0
        )


def test_the_short_form_is_smaller_and_says_nothing_twice(quantized: Graph) -> None:
    short, full = to_onnx(quantized), to_onnx(quantized, names="full")
    assert short.ByteSize() < 0.7 * full.ByteSize()
    assert not any(node.name or node.doc_string for node in short.graph.node)
    assert not short.graph.value_info
    constants = [c for c in full.graph.initializer if not c.name.endswith("zero_point")]
    contents = [onnx.numpy_helper.to_array(constant) for constant in constants]
    assert len({(value.dtype, value.shape, value.tobytes()) for value in contents}) == len(contents)
    names = sorted(len(constant.name) for constant in short.graph.initializer)
    assert names[-1] <= 2


def test_the_full_form_has_the_names_of_the_graph(quantized: Graph) -> None:
    model = to_onnx(quantized, names="full")
    made = {name for node in model.graph.node for name in node.output} | {c.name for c in model.graph.initializer}
    assert {"stem.0", "block.2.reduce.weight", "classifier.1.bias"} - made == set()
    assert not model.functions


def test_attributes_that_onnx_assumes_are_left_out() -> None:
    plain = to_onnx(captured(nn.Conv2d(3, 4, 1)), names="full").graph.node[0]
    assert (plain.op_type, list(plain.attribute)) == ("Conv", [])
    strided = to_onnx(captured(nn.Conv2d(3, 6, 3, 2, 1, groups=3)), names="full").graph.node[0]
    assert {attribute.name for attribute in strided.attribute} == {"group", "pads", "strides"}


class Twice(nn.Module):
    """One layer used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(torch.relu(self.layer(x)))


def test_a_shared_weight_is_written_once() -> None:
    graph = captured(Twice())
    for written in (graph, with_formats(graph, images(8))):
        model = to_onnx(written, names="full")
        assert sum(c.dims == [3, 3, 3, 3] for c in model.graph.initializer) == 1
        expected = GraphNetwork(written).eval()(images(3)).detach()
        step = 1e-5 if written is graph else 1.01 * written.numerics.activations[written.output].scale
        assert (run(to_onnx(written), images(3))[0] - expected).abs().max() <= step


def test_small_integers_are_stored_in_a_byte_each() -> None:
    model = to_onnx(captured(nn.ChannelShuffle(2), (4, 9, 9)), names="full")
    (split,) = (c for c in model.graph.initializer if list(c.int64_data) == [0, 2, 2, 81])
    assert not split.raw_data


def test_inner_values_become_outputs_in_order() -> None:
    graph, x = float_network().graph, images(2)
    seen: dict[str, torch.Tensor] = {}
    GraphNetwork(graph).eval().run(x, lambda node, value: seen.__setitem__(node.name, value.detach()) or None)
    wanted = ["block.2/mean", "stem.2", "input", graph.output]
    model = to_onnx(graph, outputs=wanted)
    assert [value.name for value in model.graph.output] == ["output", *wanted[:2], "input#2", wanted[3]]
    onnx.checker.check_model(model, full_check=True)
    for name, value in zip(wanted, all_outputs(model.SerializeToString(), x.numpy())[1:], strict=True):
        np.testing.assert_allclose(value, seen[name], atol=1e-5)


def test_a_node_that_is_folded_away_cannot_be_an_output() -> None:
    with pytest.raises(UsageError, match=r"no node 'stem\.1'"):
        to_onnx(float_network().graph, outputs=["stem.1"])


@torch.no_grad()
def test_a_module_may_be_called_output_or_input() -> None:
    module = nn.Sequential()
    module.add_module("output", nn.Conv2d(3, 4, 1))
    module.add_module("first", nn.ReLU())
    graph = captured(module)
    model = to_onnx(graph, names="full", outputs=["output"])
    assert [value.name for value in model.graph.output] == ["output", "output#2"]
    torch.testing.assert_close(run(to_onnx(graph, names="full"), images(2))[0], module(images(2)))


def test_a_network_that_does_nothing_is_an_identity() -> None:
    graph = Graph((Node("input", "input", (), SHAPE),), "input", {})
    assert torch.equal(run(to_onnx(graph), images(2))[0], images(2))


def test_metadata_is_stored() -> None:
    model = to_onnx(float_network().graph, metadata={"classes": "a,b", "made": "today"})
    assert {entry.key: entry.value for entry in model.metadata_props} == {"classes": "a,b", "made": "today"}


def test_the_same_network_gives_the_same_file(tmp_path: Path, quantized: Graph) -> None:
    sizes = [write_onnx(tmp_path / name, quantized) for name in ("a.onnx", "b.onnx")]
    first, second = ((tmp_path / name).read_bytes() for name in ("a.onnx", "b.onnx"))
    assert first == second
    assert sizes == [len(first)] * 2


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(PocketcnnError, match="the disk is full"):
        write_onnx(path, captured(small_network()))
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    assert path.read_text() == "old"


def test_a_double_network_is_written_in_float32() -> None:
    module = nn.Conv2d(3, 2, 1).double().eval()
    graph = capture(module, (1, *SHAPE))
    x = images(2)
    torch.testing.assert_close(run(to_onnx(graph), x)[0], module(x.double()).float().detach())

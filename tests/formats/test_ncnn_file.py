"""The two files: what ncnn expects of them, and what they weigh."""

from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pocketcnn.errors import PocketcnnError
from pocketcnn.formats.ncnn import to_layers, write_ncnn
from pocketcnn.graph import Graph, Node, capture
from tests.support.ncnn_support import run, simulated, with_symmetric_formats
from tests.support.onnx_support import with_formats
from tests.support.small_networks import SHAPE, float_network, images

TAG_INT8 = (0x000D4B38).to_bytes(4, "little")


def captured(*layers: nn.Module, shape: tuple[int, ...] = SHAPE) -> Graph:
    torch.manual_seed(0)
    return capture(nn.Sequential(*layers).eval(), (1, *shape))


def types(graph: Graph) -> list[str]:
    return [layer.type for layer in to_layers(graph)]


def test_the_param_file_counts_its_layers_and_values(tmp_path: Path) -> None:
    path = write_ncnn(tmp_path / "model.param", float_network().graph)
    magic, counts, *lines = path.read_text().splitlines()
    fields = [line.split() for line in lines]
    assert magic == "7767517"
    assert counts == f"{len(lines)} {sum(int(field[3]) for field in fields)}"
    assert lines[0].split() == ["Input", "input", "0", "1", "input", "2=3", "1=16", "0=16"]
    assert fields[-1][5 : 5 + int(fields[-1][3])] == ["output"]


@pytest.mark.parametrize("quantized", [False, True], ids=["float", "int8"])
def test_every_value_is_made_once_and_read_at_most_once(quantized: bool) -> None:
    graph = float_network().graph
    layers = to_layers(with_formats(graph, images(16)) if quantized else graph)
    made = list(chain.from_iterable(layer.outputs for layer in layers))
    read = list(chain.from_iterable(layer.inputs for layer in layers))
    assert len(made) == len(set(made))
    assert len(read) == len(set(read))
    assert set(read) <= set(made)
    assert len({layer.name for layer in layers}) == len(layers)


def test_weights_lie_in_the_bin_file_as_float32_after_a_tag_and_biases_without(tmp_path: Path) -> None:
    graph = captured(nn.Conv2d(3, 4, 1))
    data = write_ncnn(tmp_path / "model.param", graph).with_suffix(".bin").read_bytes()
    weight, bias = (graph.tensors[f"0.{role}"].numpy() for role in ("weight", "bias"))
    assert data == bytes(4) + weight.tobytes() + bias.tobytes()


def test_int8_weights_take_a_byte_each_padded_to_whole_words(tmp_path: Path) -> None:
    graph = with_symmetric_formats(captured(nn.Conv2d(3, 5, 1, bias=False)), images(4))
    data = write_ncnn(tmp_path / "model.param", graph).with_suffix(".bin").read_bytes()
    scale = graph.tensors["0.weight_scale"]
    integers = (graph.tensors["0.weight"] / scale.reshape(-1, 1, 1, 1)).round().to(torch.int8).numpy().tobytes()
    scales = (1 / scale.double()).float().numpy().tobytes()
    of_input = np.float32(1 / graph.numerics.activations["input"].scale).tobytes()
    assert data == TAG_INT8 + integers + b"\0" + scales + of_input


def test_activations_are_the_last_step_of_the_layers_before_them() -> None:
    layers = (
        nn.Conv2d(3, 8, 3),
        nn.ReLU6(),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.Hardswish(),
        nn.Conv2d(8, 4, 1),
        nn.SiLU(),
    )
    assert types(captured(*layers)) == ["Input", "Convolution", "ConvolutionDepthWise", "Convolution", "Swish"]


def test_an_activation_of_a_value_that_others_read_too_stays_a_layer() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            return y + torch.relu(y)

    graph = captured(Twice())
    assert types(graph) == ["Input", "Convolution", "Split", "ReLU", "BinaryOp"]
    torch.testing.assert_close(run(graph, images(2)), simulated(graph, images(2)))


def test_int8_convolutions_hand_integers_to_each_other_and_to_nobody_else() -> None:
    layers = (nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 1))
    written = to_layers(with_formats(captured(*layers), images(8)))
    assert [layer.params[8] for layer in written if layer.type == "Convolution"] == [101, 1, 1]


def test_squeeze_and_excite_stays_in_vectors() -> None:
    kinds = types(float_network().graph)
    assert kinds.count("InnerProduct") == 3, "the gate's two convolutions and the classifier"
    assert "Reshape" not in kinds


def test_the_parts_of_a_split_come_from_one_layer() -> None:
    assert types(float_network().graph).count("Slice") == 1
    assert "Crop" not in types(float_network().graph)


def test_the_answer_has_the_axes_of_the_graph() -> None:
    graph = captured(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1))
    assert run(graph, images(2)).shape == (2, 4, 1, 1)


def test_the_image_itself_can_be_the_answer() -> None:
    graph = Graph((Node("input", "input", (), SHAPE),), "input", {})
    torch.testing.assert_close(run(graph, images(2)), images(2))


def test_names_with_spaces_and_equals_signs_are_written_so_that_ncnn_can_read_them() -> None:
    nodes = (
        Node("input", "input", (), SHAPE),
        Node("a b=c,d", "relu", ("input",), ()),
        Node("a_b_c_d", "tanh", ("a b=c,d",), ()),
    )
    graph = Graph(nodes, "a_b_c_d", {}).rebuilt()
    torch.testing.assert_close(run(graph, images(2)), simulated(graph, images(2)), atol=1e-5, rtol=0)


def test_nothing_is_left_of_a_network_that_ncnn_cannot_run(tmp_path: Path) -> None:
    nodes = (
        Node("input", "input", (), (4, 8, 8)),
        Node("split", "reshape", ("input",), (), {"shape": (2, 2, 2, 4, 8)}),
    )
    with pytest.raises(PocketcnnError):
        write_ncnn(tmp_path / "model.param", Graph(nodes, "split", {}).rebuilt())
    assert list(tmp_path.iterdir()) == []

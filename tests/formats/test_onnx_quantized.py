"""Quantized graphs in ONNX: the arithmetic of the simulation, in operators that ONNX Runtime makes integer ones of."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from pocketcnn.formats.onnx.qdq import implied_by_saturation
from pocketcnn.formats.onnx.writer import to_onnx
from pocketcnn.graph import ActivationFormat, Graph, GraphNetwork, Node, Numerics, capture
from tests.support.onnx_support import affine, optimized, run, with_formats
from tests.support.small_networks import SHAPE, float_network, images


def quantized(*layers: nn.Module, shape: tuple[int, ...] = SHAPE, **options: object) -> Graph:
    torch.manual_seed(0)
    graph = capture(nn.Sequential(*layers).eval(), (1, *shape))
    return with_formats(graph, images(16, shape), **options)


def expected(graph: Graph, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return GraphNetwork(graph).eval()(x)


def error_in_steps(graph: Graph, x: torch.Tensor) -> float:
    return (
        float((run(to_onnx(graph), x)[0] - expected(graph, x)).abs().max())
        / graph.numerics.activations[graph.output].scale
    )


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 7, 4, 2])
def test_the_file_computes_what_the_simulation_does(bits: int, signed: bool) -> None:
    graph = with_formats(float_network().graph, images(16), bits, signed)
    assert error_in_steps(graph, images(5, seed=9)) <= 1.01


def test_few_bits_saturate() -> None:
    graph = quantized(nn.Conv2d(3, 4, 1), bits=4)
    values = run(to_onnx(graph), 100 * images(2))[0] / graph.numerics.activations[graph.output].scale
    assert float(values.max() - values.min()) == pytest.approx(15)


def test_weights_take_a_byte_each() -> None:
    graph = quantized(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3))
    weights = sum(graph.tensors[name].numel() for name in graph.numerics.weights)
    assert (
        to_onnx(graph).ByteSize() < weights + 8 * 128 + 64 + 600
    )  # scales and biases, and zero points for both layers


def test_all_integer_operators_are_made(tmp_path: Path) -> None:
    """Everything but h-swish and h-sigmoid, for which ONNX Runtime has no integer form."""
    graph = with_formats(float_network().graph, images(16))
    found = optimized(to_onnx(graph), tmp_path)
    assert not {"Conv", "Gemm", "Add", "Concat", "GlobalAveragePool", "Relu", "Clip"} & set(found)
    assert found["QLinearConv"] == sum(node.op == "conv2d" for node in graph.nodes)
    assert [found[op] for op in ("QLinearAdd", "QLinearMul", "QLinearConcat", "QGemm")] == [1, 1, 1, 1]
    assert found["QLinearGlobalAveragePool"] == 2
    assert found["HardSigmoid"] == 2  # one of them within h-swish


@pytest.mark.parametrize("stored", [True, False], ids=["integer answer", "float answer"])
def test_a_linear_layer_becomes_an_integer_operator_whatever_its_answer(stored: bool, tmp_path: Path) -> None:
    graph = quantized(nn.Flatten(), nn.Linear(48, 5), shape=(3, 4, 4))
    if not stored:
        kept = {name: form for name, form in graph.numerics.activations.items() if name != graph.output}
        graph = graph.rebuilt(numerics=Numerics(activations=kept, weights=graph.numerics.weights))
    model = to_onnx(graph)
    assert optimized(model, tmp_path)["QGemm"] == 1
    x = images(3, (3, 4, 4))
    torch.testing.assert_close(run(model, x)[0], expected(graph, x), atol=1e-5, rtol=0)


def test_moved_integers_stay_integers(tmp_path: Path) -> None:
    layers = (
        nn.ReLU(),
        nn.ZeroPad2d((1, 2, 1, 2)),
        nn.MaxPool2d(3, 2),
        nn.ChannelShuffle(2),
        nn.Upsample(scale_factor=2),
    )
    graph = quantized(nn.Conv2d(3, 4, 1), *layers, nn.Conv2d(4, 2, 1))
    found = optimized(to_onnx(graph), tmp_path)
    assert (found["QuantizeLinear"], found["DequantizeLinear"]) == (1, 1)
    assert error_in_steps(graph, images(3)) <= 1.01


def test_a_padding_number_is_quantized_like_the_rest() -> None:
    nodes = (
        Node("input", "input", (), SHAPE),
        Node("pad", "pad", ("input",), (), {"pads": (1, 1, 1, 1), "value": -0.75}),
    )
    form = ActivationFormat(scale=0.02, zero_point=100)
    graph = Graph(nodes, "pad", {}, Numerics(activations={"input": form, "pad": form})).rebuilt()
    torch.testing.assert_close(run(to_onnx(graph), images(2))[0], expected(graph, images(2)), atol=1e-6, rtol=0)


CLIPS = [
    ("relu", {}, affine(0, 3), True),
    ("relu", {}, affine(-1, 3), False),
    ("relu", {}, affine(0, 3, signed=True), True),
    ("relu6", {}, affine(0, 6), True),
    ("relu6", {}, affine(0, 3), True),
    ("relu6", {}, affine(0, 6.5), False),
    ("clip", {"min": -1.0, "max": 1.0}, affine(-1, 1), True),
    ("clip", {"min": -1.0, "max": 1.0}, affine(-1, 1.1), False),
    ("hardswish", {}, affine(-0.4, 3), False),
]


@pytest.mark.parametrize(("op", "attrs", "form", "absorbed"), CLIPS)
def test_a_clip_is_left_out_exactly_where_storing_clips_as_much(
    op: str, attrs: dict[str, float], form: ActivationFormat, absorbed: bool
) -> None:
    node = Node("clip", op, ("input",), SHAPE, attrs)
    assert implied_by_saturation(node, form) is absorbed
    graph = Graph((Node("input", "input", (), SHAPE), node), "clip", {}, Numerics(activations={"clip": form}))
    model = to_onnx(graph, names="full")
    assert ({"Relu", "Clip", "HardSwish"}.isdisjoint(n.op_type for n in model.graph.node)) is absorbed
    x = 4 * images(2)
    torch.testing.assert_close(run(model, x)[0], expected(graph, x), atol=1e-6, rtol=0)


@pytest.mark.parametrize("largest", [10, 2**15, 2**24, 2**30, 2**40])
def test_a_bias_of_any_size_survives(largest: int, tmp_path: Path) -> None:
    graph = quantized(nn.Conv2d(3, 8, 3))
    (node,) = (node for node in graph.nodes if node.op == "conv2d")
    tensors = dict(graph.tensors)
    step = graph.numerics.activations["input"].scale * tensors[graph.numerics.weights[node.tensors["weight"]].scale]
    tensors[node.tensors["bias"]] = (torch.linspace(-1, 1, 8) * largest * step).float()
    largest_value = float(tensors[node.tensors["bias"]].abs().max())
    form = affine(-largest_value - 1, largest_value + 1)
    numerics = Numerics(activations={**graph.numerics.activations, graph.output: form}, weights=graph.numerics.weights)
    graph = graph.rebuilt(tensors=tensors, numerics=numerics)
    assert error_in_steps(graph, images(3)) <= 1.01
    assert optimized(to_onnx(graph), tmp_path)["QLinearConv"] == 1


def test_equal_scales_are_written_once() -> None:
    graph = quantized(nn.Conv2d(3, 16, 3))
    (form,) = graph.numerics.weights.values()
    same = graph.rebuilt(tensors={**graph.tensors, form.scale: torch.full((16,), 0.01)})
    model = to_onnx(same, names="full")
    (scale,) = (c for c in model.graph.initializer if c.name.endswith("weight/scale"))
    assert list(scale.dims) == []
    assert error_in_steps(same, images(3)) <= 1.01


def test_what_has_no_format_stays_float(tmp_path: Path) -> None:
    graph = quantized(nn.Conv2d(3, 4, 3), nn.Hardswish(), nn.Conv2d(4, 4, 3), nn.Hardswish(), nn.Conv2d(4, 2, 1))
    kept = {name: form for name, form in graph.numerics.activations.items() if name not in ("1", "2")}
    weights = {name: form for name, form in graph.numerics.weights.items() if name != "2.weight"}
    graph = graph.rebuilt(numerics=Numerics(activations=kept, weights=weights))
    found = optimized(to_onnx(graph), tmp_path)
    assert (found["QLinearConv"], found["Conv"] + found["FusedConv"]) == (2, 1)
    assert error_in_steps(graph, images(3)) <= 1.01


def test_weights_alone_can_be_stored_in_integers() -> None:
    graph = quantized(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    graph = graph.rebuilt(numerics=Numerics(weights=graph.numerics.weights))
    torch.testing.assert_close(run(to_onnx(graph), images(3))[0], expected(graph, images(3)), atol=1e-5, rtol=1e-5)


def test_a_shift_is_an_integer_convolution_whose_kernel_is_stored_once(tmp_path: Path) -> None:
    offsets = {"down": (0, 1, -1, 0), "right": (1, 0, 0, -1)}
    shape = (4, 8, 8)
    names = ("input", "first", "second")
    nodes = [Node("input", "input", (), shape)]
    nodes += [Node(name, "shift", (source,), shape, offsets) for source, name in pairwise(names)]
    form = ActivationFormat(scale=0.03, zero_point=128)
    graph = Graph(tuple(nodes), "second", {}, Numerics(activations=dict.fromkeys(names, form)))
    model = to_onnx(graph)
    assert sum(c.data_type == onnx.TensorProto.INT8 for c in model.graph.initializer) == 1
    assert optimized(model, tmp_path)["QLinearConv"] == 2
    x = images(3, shape)
    np.testing.assert_allclose(run(model, x)[0], expected(graph, x), atol=1e-6)


def test_a_prelu_slope_in_integers_is_written_as_the_network_sees_it() -> None:
    graph = quantized(nn.Conv2d(3, 4, 3), nn.PReLU(4))
    convolution = graph.numerics.weights["0.weight"]
    weights = {**graph.numerics.weights, "1.weight": replace_scale(convolution, "slope_scale")}
    tensors = {**graph.tensors, "slope_scale": torch.full((4,), 0.003)}
    numerics = Numerics(activations=graph.numerics.activations, weights=weights)
    graph = replace(graph, tensors=tensors, numerics=numerics)
    assert error_in_steps(graph, images(3)) <= 1.01


def replace_scale(form, name: str):
    return form.model_copy(update={"scale": name})

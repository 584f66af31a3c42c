"""Integers in TensorFlow Lite beside the simulation: how far each kernel is off, at every input where that is possible."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from random import Random

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pocketcnn.formats.tflite import to_tflite
from pocketcnn.graph import ActivationFormat, Graph, Node, Numerics, WeightFormat, capture
from pocketcnn.graph.node import Attr
from tests.support.onnx_support import affine, with_formats
from tests.support.small_networks import SHAPE, float_network, images
from tests.support.tflite import KERNELS, model, operators, partitions, run, simulated, steps_off

PER_KERNEL = tuple(KERNELS)

WINDOW = {"kernel": (3, 3), "stride": (2, 2), "ceil": False}
CONVOLUTION = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}


@dataclass(frozen=True)
class Unary:
    """An operation on one value and the share of its integers that may be one step off, for each set of kernels."""

    op: str
    attrs: Mapping[str, Attr]
    shape: tuple[int, ...] = (1, 16, 16)
    same_format: bool = False
    off: tuple[float, float, float] = (0.0, 0.0, 0.0)


UNARY = {
    "relu": Unary("relu", {}),
    "relu6": Unary("relu6", {}),
    "clip": Unary("clip", {"min": -1.0, "max": 1.0}),
    "change of scale": Unary("concat", {"axis": 0}),
    "h-swish": Unary("hardswish", {}),
    "h-sigmoid": Unary("hardsigmoid", {}),
    "sigmoid": Unary("sigmoid", {}),
    "silu": Unary("silu", {}),
    "leaky relu": Unary("leaky_relu", {"slope": 0.1}),
    "affine": Unary("affine", {"scale": 0.7, "offset": 0.4}),
    "mean": Unary("mean", {"axes": (1, 2), "keepdim": True}, (64, 7, 7), off=(0.001, 0.2, 0.05)),
    "average pool": Unary(
        "avg_pool", {**WINDOW, "padding": (0, 0), "count_padding": True}, (4, 33, 33), off=(0.001, 0.002, 0.002)
    ),
    "padded average pool": Unary(
        "avg_pool", {**WINDOW, "padding": (1, 1), "count_padding": False}, (2, 33, 33), off=(0.001, 0.001, 0.001)
    ),
    "max pool": Unary("max_pool", {**WINDOW, "padding": (1, 1), "dilation": (1, 1)}, (4, 16, 16), True),
    "shift": Unary("shift", {"down": (0, 1, -1, 0), "right": (1, 0, 0, -1)}, (4, 16, 16), True),
    "shuffle": Unary("channel_shuffle", {"groups": 2}, (4, 8, 8), True),
    "pad": Unary("pad", {"pads": (1, 2, 0, 1), "value": 0.0}, (1, 16, 16), True),
    "upsample": Unary("upsample", {"scale": (2, 2)}, (1, 16, 16), True),
}


def formats(seed: int, count: int = 4) -> list[tuple[ActivationFormat, ActivationFormat]]:
    """Pairs of formats, some of them without numbers below zero, as ReLU leaves them."""
    random = Random(seed)
    ranges = [(-random.choice([0, random.uniform(0.01, 6)]), random.uniform(0.5, 8)) for _ in range(2 * count)]
    made = [affine(low, high) for low, high in ranges]
    return list(zip(made[::2], made[1::2], strict=True))


def every_number(form: ActivationFormat, shape: tuple[int, ...]) -> Tensor:
    """All 256 numbers of a format, over and over in random order."""
    generator = torch.Generator().manual_seed(0)
    repeats = [torch.randperm(256, generator=generator) for _ in range(-(-prod(shape) // 256))]
    return ((torch.cat(repeats)[: prod(shape)] - form.zero_point) * form.scale).reshape(1, *shape)


@pytest.mark.parametrize("kernels", PER_KERNEL)
@pytest.mark.parametrize("name", UNARY)
def test_an_operation_is_as_exact_as_is_told(name: str, kernels: str) -> None:
    case, off = UNARY[name], []
    for source, result in formats(seed=1):
        nodes = (Node("input", "input", (), case.shape), Node("y", case.op, ("input",), (), case.attrs))
        stored = {"input": source, "y": source if case.same_format else result}
        graph = Graph(nodes, "y", {}, Numerics(activations=stored)).rebuilt()
        off.append(steps_off(graph, every_number(source, case.shape), kernels))
    assert max(float(steps.max()) for steps in off) <= 1
    share = sum(float((steps > 0).float().mean()) for steps in off) / len(off)
    assert share <= case.off[PER_KERNEL.index(kernels)]


BINARY = {"add": (1e-4, 1e-4, 1e-4), "sub": (1e-4, 1e-4, 1e-4), "mul": (1e-4, 0.02, 0.02)}


@pytest.mark.parametrize("kernels", PER_KERNEL)
@pytest.mark.parametrize("op", BINARY)
def test_arithmetic_at_all_pairs_of_integers(op: str, kernels: str) -> None:
    """65536 pairs for each choice of formats."""
    for (first, second), (result, _) in pairwise(formats(seed=2)):
        halves = [
            Node(name, "slice", ("input",), (), {"axis": 0, "start": place, "stop": place + 1, "step": 1})
            for place, name in enumerate("ab")
        ]
        nodes = (Node("input", "input", (), (2, 256, 256)), *halves, Node("y", op, ("a", "b"), ()))
        stored = {"a": first, "b": second, "y": result}
        graph = Graph(nodes, "y", {}, Numerics(activations=stored)).rebuilt()
        a, b = ((torch.arange(256) - form.zero_point) * form.scale for form in (first, second))
        pairs = torch.stack([a[:, None].expand(256, 256), b[None].expand(256, 256)])[None]
        off = steps_off(graph, pairs, kernels)
        assert float(off.max()) <= 1
        assert float((off > 0).float().mean()) <= BINARY[op][PER_KERNEL.index(kernels)]


LAYERS = {
    "3x3": (16, (24, 16, 3, 3), {}),
    "strided": (16, (24, 16, 3, 3), {"stride": (2, 2)}),
    "1x1": (64, (24, 64, 1, 1), {"padding": (0, 0)}),
    "groups": (16, (24, 4, 3, 3), {"groups": 4}),
    "depthwise": (16, (16, 1, 3, 3), {"groups": 16}),
    "depthwise, two for each": (16, (32, 1, 3, 3), {"groups": 16}),
    "dilated": (8, (8, 8, 3, 3), {"padding": (2, 2), "dilation": (2, 2)}),
    "linear": (64, (24, 64), {}),
}


def layer(name: str) -> tuple[Graph, Tensor]:
    """A layer with weights and values in integers, and images that use all of them."""
    channels, weight, attrs = LAYERS[name]
    generator = torch.Generator().manual_seed(0)
    tensors = {"w": torch.randn(weight, generator=generator), "b": torch.randn(weight[0], generator=generator)}
    tensors["s"] = tensors["w"].abs().flatten(1).amax(1) / 127
    source = affine(-1, 3)
    shape = (channels, 12, 12) if len(weight) == 4 else (channels, 1, 1)
    nodes = [Node("input", "input", (), shape)]
    if len(weight) == 2:
        nodes.append(Node("flat", "reshape", ("input",), (), {"shape": (channels,)}))
    op, given = ("conv2d", CONVOLUTION | attrs) if len(weight) == 4 else ("linear", {})
    nodes.append(Node("y", op, (nodes[-1].name,), (), given, {"weight": "w", "bias": "b"}))
    x = torch.cat([every_number(source, shape) for _ in range(4)])[torch.randperm(4, generator=generator)]
    plain = simulated(Graph(tuple(nodes), "y", tensors).rebuilt(), x)
    stored = {"input": source, "flat": source, "y": affine(float(plain.min()), float(plain.max()))}
    numerics = Numerics(activations=stored, weights={"w": WeightFormat(scale="s")})
    return Graph(tuple(nodes), "y", tensors, numerics).rebuilt(), x


@pytest.mark.parametrize("kernels", PER_KERNEL)
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_within_one_step_and_nearly_always_the_same(name: str, kernels: str) -> None:
    graph, x = layer(name)
    found = operators(to_tflite(graph))
    assert found["DEQUANTIZE"] == found["QUANTIZE"] == 1
    off = steps_off(graph, x, kernels)
    assert float(off.max()) <= 1
    assert float((off > 0).float().mean()) <= (1e-4 if kernels == "xnnpack" else 1e-2)


def quantized(*layers: nn.Module, shape: tuple[int, ...] = SHAPE, **options: object) -> Graph:
    torch.manual_seed(0)
    return with_formats(capture(nn.Sequential(*layers).eval(), (1, *shape)), images(16, shape), **options)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 7, 4, 2])
def test_formats_of_fewer_bits_saturate_where_they_end(bits: int, signed: bool) -> None:
    graph = with_formats(float_network().graph, images(16), bits, signed)
    assert float(steps_off(graph, images(5, seed=9)).max()) <= 1


def test_few_bits_saturate_at_both_ends() -> None:
    graph = quantized(nn.Conv2d(3, 4, 1), bits=4)
    answers = run(to_tflite(graph), 100 * images(2)) / graph.numerics.activations[graph.output].scale
    assert float(answers.max() - answers.min()) == pytest.approx(15)


def test_integers_are_those_of_the_graph_less_128() -> None:
    graph = quantized(nn.Conv2d(3, 4, 3), nn.ReLU())
    tensors = model(to_tflite(graph)).subgraphs[0].tensors
    stored = {tensor.name.decode(): tensor.quantization for tensor in tensors if tensor.quantization is not None}
    form = graph.numerics.activations["1"]
    assert stored["0"].scale.tolist() == [np.float32(form.scale)]
    assert stored["0"].zeroPoint.tolist() == [form.zero_point - 128]
    assert stored["0.weight"].quantizedDimension == 0
    assert len(stored["0.weight"].scale) == len(stored["0.weight"].zeroPoint) == 4


def test_a_float_answer_keeps_its_weights_in_integers() -> None:
    graph = quantized(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 14 * 14, 100))
    kept = {name: form for name, form in graph.numerics.activations.items() if name != graph.output}
    graph = graph.rebuilt(numerics=Numerics(activations=kept, weights=graph.numerics.weights))
    data = to_tflite(graph)
    weights = sum(graph.tensors[name].numel() for name in graph.numerics.weights)
    assert len(data) < 1.2 * weights
    x = images(4, seed=3)
    expected = simulated(graph, x)
    assert float((run(data, x) - expected).abs().max()) <= 1e-5 * float(expected.abs().max())


def test_weights_alone_can_be_stored_in_integers() -> None:
    graph = quantized(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    graph = graph.rebuilt(numerics=Numerics(weights=graph.numerics.weights))
    torch.testing.assert_close(run(to_tflite(graph), images(3)), simulated(graph, images(3)), atol=1e-5, rtol=1e-5)


def test_a_network_of_integers_is_one_piece_for_xnnpack() -> None:
    graph = with_formats(float_network().graph, images(16))
    assert partitions(to_tflite(graph), (1, *SHAPE[1:], SHAPE[0])) == 1


@pytest.mark.parametrize("kernels", PER_KERNEL)
@pytest.mark.parametrize("op", ["relu", "concat", "mean", "avg_pool", "shift", "conv2d", "add", "sub", "mul"])
def test_scales_that_are_far_apart_are_no_crash(op: str, kernels: str) -> None:
    """Beside a value that was 0 on all calibration images; XNNPACK refuses such scales, other kernels end the process."""
    attrs: dict[str, dict[str, Attr]] = {
        "concat": {"axis": 0},
        "mean": {"axes": (1, 2), "keepdim": True},
        "avg_pool": {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0), "ceil": False, "count_padding": True},
        "shift": {"down": (0, 1, -1), "right": (1, 0, 0)},
        "conv2d": CONVOLUTION,
    }
    inputs = ("input", "input") if op in ("add", "sub", "mul") else ("input",)
    tensors = {"w": torch.ones(2, 3, 3, 3), "s": torch.full((2,), 1 / 127)} if op == "conv2d" else {}
    weights = {"w": WeightFormat(scale="s")} if op == "conv2d" else {}
    node = Node("y", op, inputs, (), attrs.get(op, {}), {"weight": "w"} if weights else {})
    form = ActivationFormat(scale=1.0, zero_point=0)
    numerics = Numerics(activations={"input": form, "y": form.model_copy(update={"scale": 1e-7})}, weights=weights)
    graph = Graph((Node("input", "input", (), (3, 4, 4)), node), "y", tensors, numerics).rebuilt()
    for x in (torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4)):
        assert float(steps_off(graph, x, kernels).max()) <= 1

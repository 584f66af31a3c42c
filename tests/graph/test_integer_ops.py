"""Every operation of the table in integers: the simulation in torch and the interpreter in numpy agree bit for bit."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.graph import ActivationFormat, Graph, GraphNetwork, Node, Numerics, WeightFormat
from pocketcnn.graph.integer import IntegerNetwork
from pocketcnn.graph.integer.arithmetic import dequantized
from tests.support.onnx_support import one_operation, with_formats
from tests.support.op_cases import CASES, BenchmarkCase
from tests.support.small_networks import float_network, images, quantized_network

IN_FLOAT = frozenset({"batch_norm", "div", "local_response_norm", "softmax"})
"""Operations without a form in integers; batch normalization has one after a convolution, which takes it in."""


def differing(graph: Graph, x: torch.Tensor) -> list[str]:
    """The nodes whose values are not the same numbers in the simulation and in the interpreter."""
    simulated: dict[str, np.ndarray] = {}
    computed: dict[str, np.ndarray] = {}
    with torch.inference_mode():
        answer = (
            GraphNetwork(graph).eval().run(x, lambda node, value: simulated.update({node.name: value.numpy().copy()}))
        )
    again = IntegerNetwork(graph).run(x.numpy(), lambda node, value: computed.update({node.name: value}))
    for name, form in graph.numerics.activations.items():
        assert computed[name].dtype == (np.int8 if form.signed else np.uint8)
        computed[name] = dequantized(computed[name], form)
    assert np.array_equal(answer.numpy(), again)
    return [name for name, value in simulated.items() if not np.array_equal(value, computed[name])]


def drawn(data: st.DataObject, name: str) -> Graph:
    case: BenchmarkCase = data.draw(CASES[name])
    assume(case.inferred())  # a graph has no values without axes
    return one_operation(case)


@pytest.mark.parametrize("name", sorted(set(CASES) - {"div"}))  # next to a divisor of 0 there are no numbers to store
@given(data=st.data(), bits=st.sampled_from([8, 8, 4]), signed=st.booleans())
@settings(max_examples=8, deadline=None)
def test_an_operation(name: str, data: st.DataObject, bits: int, signed: bool) -> None:
    graph = drawn(data, name)
    x = torch.randn(3, *graph.input_shape, generator=torch.Generator().manual_seed(3))
    stored = with_formats(graph, x, bits, signed)
    assert differing(stored, 1.5 * x) == []
    assert {stored[node].op for node in IntegerNetwork(stored).float_nodes} <= IN_FLOAT


@pytest.mark.parametrize("name", ["conv2d", "linear", "mul", "mean", "sum", "avg_pool", "hardswish", "sigmoid", "pad"])
@given(data=st.data())
@settings(max_examples=5, deadline=None)
def test_an_answer_that_stays_in_float(name: str, data: st.DataObject) -> None:
    graph = drawn(data, name)
    x = torch.randn(3, *graph.input_shape, generator=torch.Generator().manual_seed(3))
    stored = with_formats(graph, x)
    kept = {name: form for name, form in stored.numerics.activations.items() if name != stored.output}
    left = stored.rebuilt(numerics=Numerics(activations=kept, weights=stored.numerics.weights))
    assert differing(left, x) == []
    assert IntegerNetwork(left).float_nodes == ()


@pytest.mark.parametrize("op", ["relu", "relu6", "clip"])
@pytest.mark.parametrize("layer", ["conv2d", "linear", "mul", "mean"])
@given(data=st.data(), bits=st.sampled_from([8, 5]), high=st.floats(0.5, 8, width=32))
@settings(max_examples=4, deadline=None)
def test_a_clip_works_on_the_sums_before_it(layer: str, op: str, data: st.DataObject, bits: int, high: float) -> None:
    """Also where it clips less, or more, than storing does."""
    graph = drawn(data, layer)
    attrs = {"min": -0.75, "max": 0.5} if op == "clip" else {}
    clip = Node("clip", op, (graph.output,), (), attrs)
    graph = graph.rebuilt([*graph.nodes, clip], output="clip")
    x = torch.randn(3, *graph.input_shape, generator=torch.Generator().manual_seed(3))
    stored = with_formats(graph, x)
    form = ActivationFormat(scale=high / 255, zero_point=3, bits=bits)
    kept = {name: each for name, each in stored.numerics.activations.items() if name != "node"} | {"clip": form}
    stored = stored.rebuilt(numerics=Numerics(activations=kept, weights=stored.numerics.weights))
    assert differing(stored, x) == []
    assert IntegerNetwork(stored).float_nodes == ()


def wide_layer(width: int, groups: int) -> tuple[Graph, torch.Tensor, torch.Tensor]:
    """A layer whose scales are all 1, images of whole numbers, and its true answers to them."""
    shape, attrs = (width, 1, 1), {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": groups}
    nodes = (
        Node("input", "input", (), shape),
        Node("y", "conv2d", ("input",), (), attrs, {"weight": "w", "bias": "b"}),
    )
    generator = torch.Generator().manual_seed(0)
    weight = torch.randint(100, 128, (groups, 8, width // groups), generator=generator)
    bias = torch.randint(-300, 300, (8 * groups,), generator=generator)
    tensors = {"w": weight.reshape(8 * groups, -1, 1, 1).float(), "s": torch.ones(8 * groups), "b": bias.float()}
    form = ActivationFormat(scale=1.0, zero_point=0)
    numerics = Numerics(activations={"input": form}, weights={"w": WeightFormat(scale="s")})
    x = torch.randint(150, 256, (4, *shape), generator=generator)
    exact = torch.einsum("ngc,goc->ngo", x.reshape(4, groups, -1), weight).reshape(4, -1) + bias
    return Graph(nodes, "y", tensors, numerics).rebuilt(), x.float(), exact


@pytest.mark.parametrize(("width", "groups"), [(5000, 1), (20000, 1), (3000, 2)], ids=["parts", "float64", "groups"])
def test_sums_too_large_for_float32_are_exact(width: int, groups: int) -> None:
    """More than 2^24: float32 would round them on the way and end elsewhere."""
    graph, x, exact = wide_layer(width, groups)
    assert int(exact.min()) > 2**24
    with torch.inference_mode():
        assert torch.equal(GraphNetwork(graph).eval()(x)[..., 0, 0], exact.float())
    assert differing(graph, x) == []


def test_a_convolution_that_leaves_fractions_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one by Winograd's transform does, which some processors take for windows of several pixels."""
    graph, x = quantized_network().graph, images(3, seed=9)
    with torch.inference_mode():
        expected = GraphNetwork(graph).eval()(x)
    exact = torch.nn.functional.conv2d

    def transformed(x: torch.Tensor, weight: torch.Tensor, *rest: object) -> torch.Tensor:
        found = exact(x, weight, *rest)
        return found + 5000.75 if found.dtype == torch.float32 and weight[0, 0].numel() > 1 else found

    monkeypatch.setattr(torch.nn.functional, "conv2d", transformed)
    with torch.inference_mode():
        assert torch.equal(GraphNetwork(graph).eval()(x), expected)


def test_a_small_network_is_in_integers_from_end_to_end() -> None:
    """Stem, depthwise, gate, residual add, split, channel shuffle, concat, h-swish, classifier."""
    graph = with_formats(float_network().graph, images(16))
    assert IntegerNetwork(graph).float_nodes == ()
    assert differing(graph, images(5, seed=9)) == []


@pytest.mark.parametrize("bits", [8, 4])
def test_a_pruned_network(bits: int) -> None:
    assert differing(quantized_network(bits).graph, images(5, seed=9)) == []


def test_what_computes_in_float_is_named() -> None:
    graph = with_formats(float_network().graph, images(16))
    without = {name: form for name, form in graph.numerics.activations.items() if name != "head.1"}
    left = graph.rebuilt(numerics=Numerics(activations=without, weights=graph.numerics.weights))
    readers = {node.name for node in left.users("head.1")}
    assert set(IntegerNetwork(left).float_nodes) == readers
    assert differing(left, images(5, seed=9)) == []


def test_gradients_in_eval_mode_are_those_of_the_float_operations() -> None:
    network = quantized_network()
    expected, found = images(3).requires_grad_(), images(3).requires_grad_()
    for mode, x in ((True, expected), (False, found)):
        network.train(mode)(x).square().sum().backward()
    assert found.grad is not None
    assert expected.grad is not None
    assert float((found.grad - expected.grad).abs().mean()) < 0.1 * float(expected.grad.abs().mean())
    with torch.inference_mode():
        exact = network.eval()(images(3))
    assert torch.equal(exact, network(images(3).requires_grad_()))


def test_double_precision_changes_no_integer() -> None:
    network = quantized_network()
    with torch.inference_mode():
        single = network(images(4))
        assert torch.equal(network.double()(images(4).double()).float(), single)


def test_a_float_network_has_no_integers() -> None:
    with pytest.raises(UsageError, match="quantize it first"):
        IntegerNetwork(float_network().graph)


def test_sums_beyond_an_int32_are_refused() -> None:
    graph = quantized_network().graph
    layer = next(node for node in graph.nodes if node.op == "conv2d")
    tensors = {**graph.tensors, layer.tensors["bias"]: torch.full_like(graph.tensors[layer.tensors["bias"]], 1e9)}
    with pytest.raises(PocketcnnError, match=rf"accumulators of the layer '{layer.name}' may reach"):
        IntegerNetwork(graph.rebuilt(tensors=tensors))

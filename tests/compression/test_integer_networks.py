"""Whole quantized networks: the simulation equals the integers bit for bit, and ONNX Runtime within one step a layer."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pocketcnn.compression.quantization import quantize
from pocketcnn.formats.onnx.qdq import is_absorbed
from pocketcnn.graph import Graph, GraphNetwork, Node, capture
from pocketcnn.graph.integer import IntegerNetwork
from pocketcnn.graph.integer.arithmetic import dequantized
from pocketcnn.models import create, list_models, network_options
from pocketcnn.models.registry import registration
from pocketcnn.runtimes.intermediate_values import intermediate_values
from tests.support.random_graphs import BLOCKS, random_graph
from tests.support.trained_zoo import FORMS, trained

SIDES = {"nasnet_mobile": 64, "nasnet_large": 64}
QUICK = ("condensenet_86", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2")
TRAINED = (
    "condensenet_86",
    "efficientnet_lite0",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "shufflenet_v1",
    "shufflenet_v2",
)


def simulated(graph: Graph, images: Tensor) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    with torch.inference_mode():
        GraphNetwork(graph).eval().run(images, lambda node, value: found.update({node.name: value}))
    return found


def unequal(graph: Graph, images: Tensor) -> list[str]:
    """The nodes whose values the interpreter does not compute bit for bit as the simulation does."""
    expected, apart = simulated(graph, images), []

    def compare(node: Node, value: np.ndarray) -> None:
        form = graph.numerics.activations.get(node.name)
        numbers = value if form is None else dequantized(value, form)
        if not np.array_equal(numbers, expected[node.name].numpy()):
            apart.append(node.name)

    IntegerNetwork(graph).run(images.numpy(), compare)
    return apart


@given(blocks=st.lists(st.sampled_from(sorted(BLOCKS)), min_size=1, max_size=4), seed=st.integers(0, 2**16))
@settings(max_examples=25, deadline=None)
def test_a_random_network(blocks: list[str], seed: int) -> None:
    drawn = random_graph(blocks, seed)
    tensors = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in drawn.tensors.items()}
    graph = replace(drawn, tensors=tensors)
    images = torch.randn(6, *graph.input_shape, generator=torch.Generator().manual_seed(seed))
    stored = quantize(GraphNetwork(graph), images, method="minmax").graph
    assert unequal(stored, images[:2]) == []


def untrained(name: str, width: float = 0.25) -> GraphNetwork:
    torch.manual_seed(0)
    side, known = max(SIDES.get(name, 32), registration(name).smallest_side), network_options(name)
    options = {key: value for key, value in {"width": width, "classes": 10}.items() if key in known}
    module = create(name, **options, **FORMS.get(name, {}))
    module.train()
    with torch.no_grad():
        for _ in range(2):  # batch statistics of its own
            module(torch.randn(4, 3, side, side))
    return GraphNetwork(capture(module.eval(), (1, 3, side, side)))


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in list_models()]
)
def test_a_network_of_the_zoo_is_the_same_in_integers(name: str) -> None:
    network = untrained(name)
    images = torch.randn(8, *network.graph.input_shape, generator=torch.Generator().manual_seed(1))
    graph = quantize(network, images, method="minmax").graph
    assert unequal(graph, images[:2]) == []
    assert IntegerNetwork(graph).float_nodes == ()


@dataclass(frozen=True)
class Layers:
    """Beside a runtime, given its values: how many integers a layer has apart at most, and what share of all is equal."""

    largest: float
    equal: float


def beside_onnxruntime(graph: Graph, images: Tensor) -> Layers:
    shown = [
        node.name
        for node in graph.nodes
        if node.op not in ("input", "constant") and not is_absorbed(graph, node)
    ]  # fmt: skip
    _, values = intermediate_values(graph, shown, images, "onnxruntime")
    off: list[Tensor] = []

    def compare(node: Node, computed: Tensor) -> Tensor | None:
        given, form = values.get(node.name), graph.numerics.activations.get(node.name)
        if given is not None and form is not None:
            off.append(((computed - given) / form.scale).abs().round().flatten())
        return given

    with torch.inference_mode():
        GraphNetwork(graph).eval().run(images, compare)
    steps = torch.cat(off)
    return Layers(float(steps.max()), float((steps == 0).double().mean()))


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "shufflenet_v2"])
def test_each_layer_is_within_one_step_of_onnx_runtime(name: str) -> None:
    network = untrained(name)
    images = torch.randn(16, *network.graph.input_shape, generator=torch.Generator().manual_seed(1))
    found = beside_onnxruntime(quantize(network, images).graph, images)
    assert found.largest <= 1
    assert found.equal >= 0.999


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_a_trained_network(name: str, record_property: Callable[[str, object], None]) -> None:
    """The figures go to the report of `pytest --junit-xml` and from there to docs/checks.md."""
    ready = trained(name)
    images = ready.held_out.images[:100]
    graph = quantize(ready.network, ready.calibration).graph
    assert unequal(graph, images[:20]) == []
    found = beside_onnxruntime(graph, images)
    record_property("equal integers of a layer given the same inputs", f"{found.equal:.5%}")
    assert found.largest <= 1
    assert found.equal >= 0.999

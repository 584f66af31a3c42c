"""A graph as data: what it knows of itself, what a rebuilt graph drops, and what it refuses to be."""

from dataclasses import FrozenInstanceError, replace

import pytest
import torch
from torch import Tensor

from pocketcnn.graph.graph import MAX_ELEMENTS, MAX_RANK, Graph
from pocketcnn.graph.node import Node
from pocketcnn.graph.numerics import ActivationFormat, Numerics, WeightFormat
from pocketcnn.graph.ops import GraphError
from tests.support.small_networks import float_network, quantized_network

CONV = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
NODES = (
    Node("input", "input", (), (3, 8, 8)),
    Node("conv", "conv2d", ("input",), (), CONV, {"weight": "conv.weight"}),
    Node("relu", "relu", ("conv",), ()),
    Node("skip", "add", ("relu", "conv"), ()),
    Node("pool", "mean", ("skip",), (), {"axes": (1, 2), "keepdim": False}),
    Node("fc", "linear", ("pool",), (), {}, {"weight": "fc.weight", "bias": "fc.bias"}),
)
TENSORS: dict[str, Tensor] = {
    "conv.weight": torch.zeros(4, 3, 3, 3),
    "fc.weight": torch.zeros(2, 4),
    "fc.bias": torch.zeros(2),
}


def graph() -> Graph:
    return Graph(NODES, "fc", TENSORS).rebuilt()


def test_shapes_are_inferred_per_image() -> None:
    assert {node.name: node.shape for node in graph().nodes} == {
        "input": (3, 8, 8),
        "conv": (4, 8, 8),
        "relu": (4, 8, 8),
        "skip": (4, 8, 8),
        "pool": (4,),
        "fc": (2,),
    }
    assert (graph().input_shape, graph().output_shape) == ((3, 8, 8), (2,))


def test_what_it_knows_of_its_nodes() -> None:
    g = graph()
    assert "conv" in g
    assert "other" not in g
    assert [user.name for user in g.users("conv")] == ["relu", "skip"]
    assert g.users("fc") == ()
    assert g.input_shapes(g["skip"]) == [(4, 8, 8), (4, 8, 8)]
    assert g.tensor_shapes(g["fc"]) == {"weight": (2, 4), "bias": (2,)}
    assert g.node_tensors(g["fc"])["bias"] is TENSORS["fc.bias"]
    assert [g.madds(g[name]) for name in ("conv", "relu", "fc")] == [4 * 3 * 9 * 64, 0, 8]


def test_a_value_read_twice_by_one_node_has_one_user() -> None:
    square = Graph((NODES[0], Node("square", "mul", ("input", "input"), ())), "square", {}).rebuilt()
    assert [user.name for user in square.users("input")] == ["square"]


def test_a_graph_and_its_nodes_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        graph().output = "conv"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        graph()["conv"].op = "relu"  # type: ignore[misc]


def test_rebuilt_drops_what_nobody_needs() -> None:
    form = ActivationFormat(scale=0.1, zero_point=0)
    numerics = Numerics(
        activations={"skip": form, "fc": form, "absent": form},
        weights={name: WeightFormat(scale=f"{name}_scale") for name in ("conv.weight", "fc.weight")},
    )
    scales = {"conv.weight_scale": torch.ones(4), "fc.weight_scale": torch.ones(2)}
    whole = Graph(NODES, "fc", {**TENSORS, **scales, "unused": torch.zeros(1)}, numerics).rebuilt()
    assert "unused" not in whole.tensors
    assert whole.numerics.activations.keys() == {"skip", "fc"}
    trunk = whole.rebuilt(output="skip")
    assert [node.name for node in trunk.nodes] == ["input", "conv", "relu", "skip"]
    assert trunk.tensors.keys() == {"conv.weight", "conv.weight_scale"}
    assert trunk.numerics.activations.keys() == {"skip"}
    assert trunk.numerics.weights.keys() == {"conv.weight"}
    assert len(whole.nodes) == 6  # the graph itself is as it was


def test_rebuilt_infers_shapes_from_new_tensors() -> None:
    tensors = {**TENSORS, "conv.weight": torch.zeros(7, 3, 3, 3), "fc.weight": torch.zeros(2, 7)}
    assert graph().rebuilt(tensors=tensors)["skip"].shape == (7, 8, 8)


def test_rebuilding_a_rebuilt_graph_changes_nothing() -> None:
    for network in (float_network(), quantized_network()):
        g = network.graph
        again = g.rebuilt()
        assert (again.nodes, again.output, again.numerics) == (g.nodes, g.output, g.numerics)
        assert again.tensors.keys() == g.tensors.keys()


def _with(at: str, /, **changes: object) -> tuple[Node, ...]:
    return tuple(replace(node, **changes) if node.name == at else node for node in NODES)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        (_with("relu", op="swish2"), "Node 'relu': there is no operation 'swish2'"),
        (_with("relu", name="conv"), "'conv' .*an earlier node has the same name"),
        (_with("conv", inputs=("relu",)), "'conv' .*reads 'relu', which no earlier node computes"),
        (_with("conv", inputs=("conv",)), "reads 'conv', which no earlier node computes"),
        (_with("relu", inputs=()), "'relu' .*0 inputs instead of 1"),
        (_with("skip", inputs=("relu",)), "'skip' .*1 inputs instead of 2"),
        (_with("conv", attrs={}), r"attributes are \[\]"),
        (_with("conv", attrs={**CONV, "speed": 1}), "speed"),
        (_with("conv", attrs={**CONV, "groups": 1.5}), "groups is 1.5; it must be an integer"),
        (_with("conv", attrs={**CONV, "stride": (1, 1, 1)}), "must be two integers"),
        (_with("conv", tensors={}), "no tensor for weight"),
        (_with("conv", tensors={"weight": "conv.weight", "extra": "fc.bias"}), "takes no tensor as extra"),
        (_with("conv", tensors={"weight": "absent"}), "its weight, the tensor 'absent', is missing"),
        (_with("fc", tensors={"weight": "fc.weight", "bias": "conv.weight"}), "the bias has shape"),
        (_with("input", shape=(5, 8, 8)), "does not fit 5 input channels"),
        (_with("input", shape=(3, 0, 8)), "is empty"),
        (_with("input", shape=(1,) * (MAX_RANK + 1)), "axes"),
        (_with("input", shape=(1, 1, MAX_ELEMENTS + 1)), "too large"),
        ((Node("first", "relu", (), ()), *NODES[1:]), "first node must be the input, and no other"),
        ((*NODES[:2], Node("relu", "input", (), (3,)), *NODES[3:]), "first node must be the input, and no other"),
    ],
)
def test_what_a_graph_cannot_be(nodes: tuple[Node, ...], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        Graph(nodes, "fc", TENSORS).rebuilt()


def test_attributes_are_asked_for_by_kind() -> None:
    node = Node("n", "x", (), (), {"pair": (2, 3), "one": 1, "number": 0.5, "flag": True})
    assert (node.pair("pair"), node.ints("pair")) == ((2, 3), (2, 3))
    assert (node.integer("one"), node.number("one"), node.number("number"), node.flag("flag")) == (1, 1.0, 0.5, True)
    with pytest.raises(TypeError, match="'one' of 'n' is 1, not a tuple"):
        node.ints("one")
    with pytest.raises(TypeError, match="not an integer"):
        node.integer("flag")
    with pytest.raises(TypeError, match="not a number"):
        node.number("pair")

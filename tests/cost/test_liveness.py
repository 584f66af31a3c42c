"""Peak activation memory against a simulation that keeps every value in a named piece of memory."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketcnn.cost.liveness import live_bytes, value_bytes
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node
from pocketcnn.graph.numerics import ActivationFormat, Numerics
from pocketcnn.graph.ops import OPS

FORM = ActivationFormat(scale=0.1, zero_point=0)


def chain(*nodes: Node, shape: tuple[int, ...] = (2, 4, 4), tensors: dict[str, torch.Tensor] | None = None) -> Graph:
    first = Node("input", "input", (), shape)
    return Graph((first, *nodes), nodes[-1].name, tensors or {}).rebuilt()


def permuted(name: str, source: str) -> Node:
    """An operation that needs its input and its output at once."""
    return Node(name, "permute", (source,), (), {"order": (0, 2, 1)})


def test_an_element_wise_operation_works_in_place() -> None:
    graph = chain(permuted("a", "input"), Node("b", "relu", ("a",), ()), permuted("c", "b"))
    assert live_bytes(graph) == {"input": 128, "a": 256, "b": 128, "c": 256}


def test_it_does_not_when_its_input_is_needed_later() -> None:
    graph = chain(permuted("a", "input"), Node("b", "relu", ("a",), ()), Node("c", "add", ("b", "a"), ()))
    assert live_bytes(graph) == {"input": 128, "a": 256, "b": 256, "c": 256}


def test_a_view_takes_no_memory_but_keeps_that_of_its_source() -> None:
    view = Node("v", "reshape", ("a",), (), {"shape": (32,)})
    graph = chain(permuted("a", "input"), view, Node("s", "softmax", ("v",), (), {"axis": 0}))
    assert live_bytes(graph) == {"input": 128, "a": 256, "v": 128, "s": 256}


def test_a_gate_is_multiplied_into_the_map_in_either_order() -> None:
    """x · gate: the product has the shape of x and takes its place, whichever comes first."""
    for order in (("x", "gate"), ("gate", "x")):
        mean = Node("gate", "mean", ("x",), (), {"axes": (1, 2), "keepdim": True})
        graph = chain(permuted("x", "input"), mean, Node("m", "mul", order, ()))
        assert live_bytes(graph) == {"input": 128, "x": 256, "gate": 136, "m": 136}


def test_a_residual_holds_its_shortcut() -> None:
    graph = chain(permuted("a", "input"), permuted("b", "a"), permuted("c", "b"), Node("sum", "add", ("c", "a"), ()))
    assert live_bytes(graph)["c"] == 3 * 128


def test_the_answer_is_not_overwritten() -> None:
    graph = chain(permuted("a", "input"))
    assert live_bytes(graph.rebuilt(output="a")) == {"input": 128, "a": 256}


def test_a_layer_fused_with_its_activation_has_the_width_of_the_activation() -> None:
    numerics = Numerics(activations={"input": FORM, "b": FORM})
    graph = chain(permuted("a", "input"), Node("b", "relu", ("a",), ()), permuted("c", "b")).rebuilt(numerics=numerics)
    assert value_bytes(graph) == {"input": 32, "a": 32, "b": 32, "c": 128}
    assert live_bytes(graph) == {"input": 32, "a": 64, "b": 32, "c": 160}


def test_constants_are_weights() -> None:
    gain = Node("gain", "constant", (), (), {"shape": (2, 1, 1)}, {"value": "gain"})
    graph = chain(gain, Node("m", "mul", ("input", "gain"), ()), tensors={"gain": torch.ones(2)})
    assert live_bytes(graph) == {"input": 128, "gain": 128, "m": 128}


@st.composite
def random_graph(draw: st.DrawFn) -> Graph:
    """Up to twelve operations on (2, 4, 4), each on any earlier values; some values have integer formats."""
    nodes = [Node("input", "input", (), (2, 4, 4))]
    for index in range(draw(st.integers(1, 12))):
        op = draw(
            st.sampled_from(["relu", "permute", "add", "concat", "gate", "reshape", "dropout", "constant", "slice"])
        )
        maps = [node.name for node in nodes if node.shape == (2, 4, 4)]
        first, second = (draw(st.sampled_from(maps[-4:])) for _ in range(2))
        name = f"n{index}"
        if op == "gate":
            nodes.append(Node(f"{name}g", "mean", (first,), (2, 1, 1), {"axes": (1, 2), "keepdim": True}))
            nodes.append(Node(name, "mul", draw(st.permutations([second, f"{name}g"])), (2, 4, 4)))
        elif op == "reshape":
            nodes.append(Node(f"{name}v", "reshape", (first,), (32,), {"shape": (32,)}))
            nodes.append(Node(name, "reshape", (f"{name}v",), (2, 4, 4), {"shape": (2, 4, 4)}))
        elif op == "constant":
            nodes.append(Node(name, "constant", (), (2, 4, 4), {"shape": (2, 4, 4)}, {"value": "value"}))
        elif op == "concat":
            nodes.append(Node(f"{name}c", "concat", (first, second), (4, 4, 4), {"axis": 0}))
            cut = {"axis": 0, "start": 1, "stop": 3, "step": 1}
            nodes.append(Node(name, "slice", (f"{name}c",), (2, 4, 4), cut))
        else:
            attrs = {
                "permute": {"order": (0, 2, 1)},
                "dropout": {"p": 0.5, "whole_channels": False},
                "slice": {"axis": 0, "start": 0, "stop": 2, "step": 1},
            }
            inputs = (first, second) if op == "add" else (first,)
            nodes.append(Node(name, op, inputs, (2, 4, 4), attrs.get(op, {})))
    formats = draw(st.lists(st.sampled_from([node.name for node in nodes]), unique=True))
    numerics = Numerics(activations=dict.fromkeys(formats, FORM))
    tensors = {"value": torch.zeros(2, 4, 4)}
    return Graph(tuple(nodes), nodes[-1].name, tensors, numerics).rebuilt()


def simulated(graph: Graph) -> dict[str, int]:
    """Step by step: pieces of memory with the value that each holds now, freed when no later node needs it."""
    sizes = value_bytes(graph)
    pieces: dict[str, int] = {}  # name of the piece -> bytes
    place: dict[str, str] = {}  # value -> name of the piece
    alive: dict[str, int] = {}

    def needed_after(piece: str, step: int) -> bool:
        values = {value for value, where in place.items() if where == piece}
        read = any(set(later.inputs) & values for later in graph.nodes[step + 1 :])
        return read or graph.output in values

    for step, node in enumerate(graph.nodes):
        op = OPS[node.op]
        candidates = [
            name
            for name in node.inputs
            if name in place
            and not needed_after(place[name], step)
            and graph[name].shape == node.shape
            and sizes[node.name] <= pieces[place[name]]
        ]
        if sizes[node.name]:
            if op.view:
                place[node.name] = place[node.inputs[0]]
            elif op.inplace and candidates:
                place[node.name] = place[candidates[0]]
            else:
                place[node.name] = node.name
                pieces[node.name] = sizes[node.name]
        alive[node.name] = sum(pieces.values())
        for piece in list(pieces):
            if not needed_after(piece, step):
                del pieces[piece]
                place = {value: where for value, where in place.items() if where != piece}
    return alive


@given(graph=random_graph())
@settings(max_examples=200, deadline=None)
def test_liveness_is_what_a_simulation_finds(graph: Graph) -> None:
    assert live_bytes(graph) == simulated(graph)

"""Every operation in TensorFlow Lite computes what it computes in PyTorch, in float32, on any batch."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pocketcnn.errors import PocketcnnError
from pocketcnn.formats.tflite import to_tflite
from pocketcnn.formats.tflite.emitters import EMITTERS
from pocketcnn.graph import OPS, Graph, GraphError, Node
from tests.support.onnx_support import one_operation
from tests.support.op_cases import CASES
from tests.support.tflite import operators, partitions, run, simulated

LACKED = {"erf"}
"""TensorFlow Lite has no such operator; the writer refuses it by name (`GAPS` of tests/graph/test_operation_coverage.py)."""


def test_every_operation_has_a_form() -> None:
    assert set(EMITTERS) == set(OPS) - {"input"} - LACKED


@pytest.mark.parametrize("op", sorted(EMITTERS))
@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_an_operation_computes_the_same(op: str, data: st.DataObject) -> None:
    case = data.draw(CASES[op])
    try:
        graph = one_operation(case)
    except GraphError:  # a mean over everything leaves no value
        return
    x = torch.randn(2, *graph.input_shape, generator=torch.Generator().manual_seed(0))
    expected = simulated(graph, x)
    found = run(to_tflite(graph), x)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, atol=1e-4 * max(1.0, float(expected.abs().max())), rtol=0)


CHAINS = {
    "slice": ("slice", {"axis": 0, "start": 2, "stop": 6, "step": 1}),
    "shuffle": ("channel_shuffle", {"groups": 2}),
    "pad": ("pad", {"pads": (1, 0, 2, 0), "value": 0.0}),
    "max pool of what is not negative": (
        "max_pool",
        {"kernel": (3, 3), "stride": (2, 2), "padding": (1, 1), "ceil": False, "dilation": (1, 1)},
    ),
    "mean": ("mean", {"axes": (1, 2), "keepdim": True}),
    "h-sigmoid": ("hardsigmoid", {}),
    "permute": ("permute", {"order": (2, 0, 1)}),
}


@pytest.mark.parametrize("name", CHAINS)
def test_xnnpack_takes_an_operation_between_others(name: str) -> None:
    """So that a network is not cut into pieces there."""
    op, attrs = CHAINS[name]
    nodes = (
        Node("input", "input", (), (8, 6, 6)),
        Node("before", "relu", ("input",), ()),
        Node("between", op, ("before",), (), attrs),
        Node("after", "hardswish", ("between",), ()),
    )
    assert partitions(to_tflite(Graph(nodes, "after", {}).rebuilt()), (3, 6, 6, 8)) == 1


def test_a_flattened_map_costs_no_transposition() -> None:
    shape = (3, 4, 5)
    nodes = (
        Node("input", "input", (), shape),
        Node("flat", "reshape", ("input",), (), {"shape": (60,)}),
        Node("fc", "linear", ("flat",), (), {}, {"weight": "w"}),
    )
    graph = Graph(nodes, "fc", {"w": torch.randn(7, 60, generator=torch.Generator().manual_seed(0))}).rebuilt()
    data = to_tflite(graph)
    assert operators(data) == {"RESHAPE": 1, "FULLY_CONNECTED": 1}
    x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(run(data, x), simulated(graph, x), atol=1e-5, rtol=1e-5)


def test_what_else_reads_a_flattened_map_sees_it_as_pytorch_does() -> None:
    nodes = (
        Node("input", "input", (), (3, 4, 5)),
        Node("flat", "reshape", ("input",), (), {"shape": (60,)}),
        Node("half", "slice", ("flat",), (), {"axis": 0, "start": 0, "stop": 30, "step": 1}),
    )
    graph = Graph(nodes, "half", {}).rebuilt()
    x = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(run(to_tflite(graph), x), x.flatten(1)[:, :30])


def test_an_operation_without_a_form_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    left = {name: form for name, form in EMITTERS.items() if name != "tanh"}
    monkeypatch.setattr("pocketcnn.formats.tflite.writer.EMITTERS", left)
    nodes = (Node("input", "input", (), (3, 4, 4)), Node("head.act", "tanh", ("input",), ()))
    with pytest.raises(PocketcnnError, match=r"'head\.act' \(tanh\)"):
        to_tflite(Graph(nodes, "head.act", {}).rebuilt())

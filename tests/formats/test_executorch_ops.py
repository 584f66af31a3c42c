"""Every operation of the table, lowered to ExecuTorch with random attributes, computes the same there."""

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pocketcnn.errors import PocketcnnError
from pocketcnn.formats.executorch import write_executorch
from pocketcnn.graph import Graph, GraphNetwork, Node, for_inference
from pocketcnn.graph.ops import OPS
from tests.support.executorch_support import run
from tests.support.ncnn_support import simulated
from tests.support.onnx_support import one_operation, with_formats
from tests.support.op_cases import CASES, BenchmarkCase

NAMES = sorted(set(OPS) - {"input"})
few = settings(max_examples=4, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@few
def test_float(name: str, data: st.DataObject) -> None:
    case: BenchmarkCase = data.draw(CASES[name])
    assume(case.inferred())
    graph = one_operation(case)
    x = torch.randn(2, *graph.input_shape, generator=torch.Generator().manual_seed(3))
    expected = simulated(graph, x)
    assume(bool(expected.isfinite().all()))
    answers, _ = run(graph, x)
    torch.testing.assert_close(answers, expected.expand_as(answers), atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(NAMES) - {"div"}))  # next to a divisor of 0, one step is any distance
@given(data=st.data())
@few
def test_integers_agree_within_one_step(name: str, data: st.DataObject) -> None:
    case: BenchmarkCase = data.draw(CASES[name])
    assume(case.inferred())
    graph = for_inference(one_operation(case))
    x = torch.randn(2, *graph.input_shape, generator=torch.Generator().manual_seed(3))
    assume(bool(GraphNetwork(graph).eval()(x).isfinite().all()))
    quantized = with_formats(graph, x)
    answers, _ = run(quantized, x)
    step = quantized.numerics.activations[quantized.output].scale
    assert (answers - simulated(quantized, x)).abs().max() <= 1.01 * step


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(name for name, op in OPS.items() if op.is_activation))
def test_an_activation_between_two_integer_layers(name: str) -> None:
    """There the maps lie channels last, which an operator that XNNPACK does not take may not expect."""
    attrs = {"leaky_relu": {"slope": 0.1}, "elu": {"alpha": 1.0}, "clip": {"min": -1.0, "max": 2.0}}
    conv = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    generator = torch.Generator().manual_seed(3)
    weights = {f"w{place}": torch.randn(16, width, 3, 3, generator=generator) / 9 for place, width in ((0, 3), (1, 16))}
    slopes = {"weight": "slope"} if OPS[name].tensors else {}
    nodes = (
        Node("input", "input", (), (3, 12, 12)),
        Node("first", "conv2d", ("input",), (), conv, {"weight": "w0"}),
        Node("between", name, ("first",), (), attrs.get(name, {}), slopes),
        Node("last", "conv2d", ("between",), (), conv, {"weight": "w1"}),
    )
    graph = Graph(nodes, "last", weights | ({"slope": torch.full((16,), 0.2)} if slopes else {})).rebuilt()
    x = torch.randn(2, 3, 12, 12, generator=generator)
    quantized = with_formats(graph, x)
    answers, _ = run(quantized, x)
    step = quantized.numerics.activations["last"].scale
    assert (answers - simulated(quantized, x)).abs().max() <= 2.01 * step


def test_values_of_too_many_axes_are_named(tmp_path) -> None:
    shape = {"shape": (2, 2, 2, 2, 2, 8)}
    nodes = (Node("input", "input", (), (4, 8, 8)), Node("split", "reshape", ("input",), (), shape))
    with pytest.raises(PocketcnnError, match=r"layer 'split' \(reshape\): .*6 axes"):
        write_executorch(tmp_path / "model.pte", Graph(nodes, "split", {}).rebuilt())
    assert list(tmp_path.iterdir()) == []

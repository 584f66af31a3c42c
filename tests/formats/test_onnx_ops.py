"""Every operation of the table, written to ONNX with random attributes, computes the same in ONNX Runtime."""

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pocketcnn.formats.onnx.writer import to_onnx
from pocketcnn.graph import GraphNetwork, for_inference
from pocketcnn.graph.ops import OPS
from tests.support.onnx_support import one_operation, run, with_formats
from tests.support.op_cases import CASES, BenchmarkCase

NAMES = sorted(set(OPS) - {"input"})
"""From the table itself: an operation without a case fails here."""

names = st.sampled_from(["short", "full"])


def images(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.randn(5, *shape, generator=torch.Generator().manual_seed(3))


def drawn(data: st.DataObject, name: str) -> BenchmarkCase:
    case: BenchmarkCase = data.draw(CASES[name])
    assume(case.inferred())  # a graph has no values without axes
    return case


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
@settings(max_examples=10, deadline=None)
@torch.no_grad()
def test_float(name: str, data: st.DataObject) -> None:
    graph = one_operation(drawn(data, name))
    x = images(graph.input_shape)
    expected = GraphNetwork(graph).eval()(x)
    assume(bool(expected.isfinite().all()))  # a maximum of padding alone is the runtime's own idea of minus infinity
    model = to_onnx(graph, names=data.draw(names))
    for result in run(model, x[:1], x):
        torch.testing.assert_close(result, expected[: len(result)], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"div"}))  # next to a divisor of 0, one step is any distance
@given(data=st.data(), bits=st.sampled_from([8, 4]), signed=st.booleans())
@settings(max_examples=10, deadline=None)
@torch.no_grad()
def test_integers_agree_within_one_step(name: str, data: st.DataObject, bits: int, signed: bool) -> None:
    graph = for_inference(one_operation(drawn(data, name)))
    x = images(graph.input_shape)
    assume(bool(GraphNetwork(graph).eval()(x).isfinite().all()))
    quantized = with_formats(graph, x, bits, signed)
    expected = GraphNetwork(quantized).eval()(x)
    step = quantized.numerics.activations[quantized.output].scale
    model = to_onnx(quantized, names=data.draw(names))
    for result in run(model, x[:1], x):
        assert (result - expected[: len(result)]).abs().max() <= 1.01 * step

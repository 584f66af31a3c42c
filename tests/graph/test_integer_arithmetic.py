"""The formulas of the integer arithmetic, beside ONNX's own reference, exact fractions and torch."""

from fractions import Fraction

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator

from pocketcnn.graph import ActivationFormat
from pocketcnn.graph.integer.arithmetic import dequantized, quantized, requantized, step_bounds
from pocketcnn.graph.integer.lookup_tables import FUNCTIONS, table
from pocketcnn.graph.ops import OPS
from tests.support.op_cases import CASES, BenchmarkCase

SCALES = st.floats(2.0**-12, 2.0**10, width=32)


@st.composite
def formats(draw) -> ActivationFormat:
    bits, signed = draw(st.integers(2, 8)), draw(st.booleans())
    low = -(1 << (bits - 1)) if signed else 0
    zero_point = draw(st.integers(low, low + (1 << bits) - 1))
    return ActivationFormat(scale=draw(SCALES), zero_point=zero_point, bits=bits, signed=signed)


def by_onnx(op: str, value: np.ndarray, form: ActivationFormat) -> np.ndarray:
    """What the ONNX project's own interpreter makes of it."""
    stored = onnx.TensorProto.INT8 if form.signed else onnx.TensorProto.UINT8
    types = {"QuantizeLinear": (onnx.TensorProto.FLOAT, stored), "DequantizeLinear": (stored, onnx.TensorProto.FLOAT)}
    constants = [
        onnx.numpy_helper.from_array(np.float32(form.scale), "scale"),
        onnx.numpy_helper.from_array(np.asarray(form.zero_point, np.int8 if form.signed else np.uint8), "zero_point"),
    ]
    ends = [onnx.helper.make_tensor_value_info(name, kind, [None]) for name, kind in zip("xy", types[op], strict=True)]
    node = onnx.helper.make_node(op, ["x", "scale", "zero_point"], ["y"])
    graph = onnx.helper.make_graph([node], "one", ends[:1], ends[1:], constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)], ir_version=10)
    result: np.ndarray = ReferenceEvaluator(model).run(None, {"x": value})[0]
    return result


@given(form=formats(), values=st.lists(st.floats(-1e5, 1e5, width=32), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
def test_storing_is_quantize_linear(form: ActivationFormat, values: list[float]) -> None:
    x = np.array(values, np.float32)
    expected = np.clip(by_onnx("QuantizeLinear", x, form), form.low, form.high)  # ONNX has 8 bits only
    assert np.array_equal(quantized(x, form), expected)


@given(form=formats())
@settings(max_examples=60, deadline=None)
def test_reading_is_dequantize_linear(form: ActivationFormat) -> None:
    integers = np.arange(form.low, form.high + 1).astype(np.int8 if form.signed else np.uint8)
    assert np.array_equal(dequantized(integers, form), by_onnx("DequantizeLinear", integers, form))
    assert np.array_equal(quantized(dequantized(integers, form), form), integers)


@given(form=formats(), sums=st.lists(st.integers(-(2**24), 2**24), min_size=1, max_size=20), scale=SCALES)
@settings(max_examples=200, deadline=None)
def test_a_sum_becomes_the_nearest_integer(form: ActivationFormat, sums: list[int], scale: float) -> None:
    """Beside exact fractions: never off by more than float32's rounding of a product, and to the even one of two."""
    found = requantized(np.array(sums, np.int32), np.float32(scale), np.float32(1), form)
    for total, integer in zip(sums, found, strict=True):
        exact = total * Fraction(scale) / Fraction(form.scale) + form.zero_point
        nearest = min(max(round(exact), form.low), form.high)
        slack = abs(exact - form.zero_point) * Fraction(3, 2**24)
        assert integer == nearest or abs(abs(exact - round(exact)) - Fraction(1, 2)) <= slack


@pytest.mark.parametrize(("total", "expected"), [(1, 0), (3, 2), (5, 2), (-1, 0), (-3, -2), (-5, -2)])
@pytest.mark.parametrize("zero_point", [0, 1])
def test_half_a_step_goes_to_the_even_one_before_the_zero_point(total: int, expected: int, zero_point: int) -> None:
    form = ActivationFormat(scale=1.0, zero_point=zero_point, signed=True)
    found = requantized(np.array(total, np.int32), np.float32(0.5), np.float32(1), form)
    assert int(found) == expected + zero_point


@given(
    form=formats(), bound=st.floats(-100, 100, width=32), values=st.lists(st.floats(-200, 200, width=32), min_size=1)
)
def test_clipping_steps_is_clipping_numbers(form: ActivationFormat, bound: float, values: list[float]) -> None:
    x, limit = np.array(values, np.float32), np.float32(bound)
    low, high = step_bounds(form, bound)
    stored = quantized(x, form).astype(int) - form.zero_point
    assert np.array_equal(
        np.clip(stored, low, high), quantized(np.maximum(x, limit), form).astype(int) - form.zero_point
    )


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@given(data=st.data(), form=formats())
@settings(max_examples=25, deadline=None)
def test_a_table_holds_the_function(name: str, data: st.DataObject, form: ActivationFormat) -> None:
    case: BenchmarkCase = data.draw(CASES[name])
    node = case.node()
    x = torch.from_numpy(dequantized(np.arange(form.low, form.high + 1), form))
    expected = OPS[name].run(node, [x], {}, False).numpy()
    found = table(node, form)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-6)

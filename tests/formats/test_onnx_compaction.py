"""What makes ONNX files small: functions for repeated groups, narrow constants, short names."""

from itertools import islice

import numpy as np
import onnx
import onnx.inliner
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from pocketcnn.formats.onnx.builder import OnnxBuilder
from pocketcnn.formats.onnx.constants import narrow_constant
from pocketcnn.formats.onnx.functions import DOMAIN, with_functions
from pocketcnn.formats.onnx.names import short_names, shorten
from pocketcnn.formats.onnx.writer import to_onnx
from pocketcnn.runtimes.onnxruntime_runtime import all_outputs
from tests.support.onnx_support import run
from tests.support.small_networks import images, quantized_network

SHAPE = (4, 6, 6)


@st.composite
def random_models(draw: st.DrawFn) -> onnx.ModelProto:
    """Convolutions, activations and sums at random: repeated groups, shared values, several outputs."""
    builder = OnnxBuilder("input", SHAPE)
    values = ["input"]
    for index in range(draw(st.integers(1, 25))):
        source = draw(st.sampled_from(values[-3:]))
        kind = draw(st.sampled_from(["block", "depthwise", "Relu", "Add", "HardSwish", "Clip"]))
        if kind == "block":
            weight = builder.constant(np.full((4, 4, 1, 1), 0.1 * (index + 1), np.float32), "weight")
            value = builder.op("Relu", [builder.op("Conv", [source, weight], {}, "conv")], {}, "relu")
        elif kind == "depthwise":
            groups = draw(st.sampled_from([2, 4]))
            weight = builder.constant(np.full((4, 4 // groups, 1, 1), 0.2 + index, np.float32), "weight")
            value = builder.op("Sigmoid", [builder.op("Conv", [source, weight], {"group": groups}, "conv")], {}, "gate")
        elif kind == "Add":
            value = builder.op("Add", [source, draw(st.sampled_from(values))], {}, "add")
        elif kind == "Clip":
            value = builder.op("Clip", [source, "", builder.constant(np.asarray(2, np.float32), "high")], {}, "clip")
        else:
            value = builder.op(kind, [source], {}, "act")
        values.append(value)
    shown = draw(st.lists(st.sampled_from(values), max_size=2))
    return builder.model({"output": (values[-1], SHAPE), **{f"y{i}": (v, SHAPE) for i, v in enumerate(shown)}})


def answers(model: onnx.ModelProto) -> list[np.ndarray]:
    onnx.checker.check_model(model, full_check=True)
    return all_outputs(model.SerializeToString(), images(2, SHAPE).numpy())


@given(model=random_models())
@settings(max_examples=30, deadline=None)
def test_functions_and_short_names_change_nothing_but_the_size(model: onnx.ModelProto) -> None:
    before, expected = model.ByteSize(), answers(model)
    shorten(model.graph)
    shortened = model.ByteSize()
    with_functions(model)
    assert model.ByteSize() <= shortened <= before
    for given_, wanted in zip(answers(model), expected, strict=True):
        np.testing.assert_array_equal(given_, wanted)


@given(model=random_models())
@settings(max_examples=40, deadline=None)
def test_inlining_the_functions_gives_the_operators_back(model: onnx.ModelProto) -> None:
    operators = sorted(node.op_type for node in model.graph.node)
    shorten(model.graph)
    with_functions(model)
    inlined = onnx.inliner.inline_local_functions(model)
    assert sorted(node.op_type for node in inlined.graph.node) == operators


def test_equal_layers_become_calls_of_one_function() -> None:
    builder, value = OnnxBuilder("input", SHAPE), "input"
    for index in range(12):
        weight = builder.constant(np.full((4, 2, 3, 3), index + 1, np.float32), "weight")
        value = builder.op("Conv", [value, weight], {"group": 2, "pads": (1, 1, 1, 1)}, "conv")
        value = builder.op("Relu", [value], {}, "relu")
        value = builder.op("Mul", [value, builder.constant(np.asarray(0.1, np.float32), "tenth")], {}, "scaled")
    model = builder.model({"output": (value, SHAPE)})
    with_functions(model)
    assert len(model.graph.node) <= 8
    assert sum(node.domain == DOMAIN for node in model.graph.node) >= len(model.graph.node) - 1


def test_a_function_called_from_one_function_only_is_part_of_it() -> None:
    model = to_onnx(quantized_network().graph)
    calls = [node.op_type for node in model.graph.node if node.domain == DOMAIN]
    inner = [node.op_type for function in model.functions for node in function.node if node.domain == DOMAIN]
    for function in model.functions:
        assert function.name in calls or inner.count(function.name) > 1


NARROW = {
    "whole numbers": (np.arange(-100, 100, dtype=np.float32), 200),
    "steps of a common size": (np.arange(1, 256, dtype=np.float32) * np.float32(0.0123), 255),
    "wide whole numbers": (np.arange(-20000, 20000, 100, dtype=np.float32), 800),
    "half precision": (np.linspace(0.1, 3, 100).astype(np.float16).astype(np.float32), 200),
}


@pytest.mark.parametrize("kind", NARROW)
def test_a_constant_takes_the_narrowest_type_that_holds_it(kind: str) -> None:
    value, size = NARROW[kind]
    builder = OnnxBuilder("input", value.shape)
    narrow_constant(builder, value, "constant")
    stored = max(builder.model({}).graph.initializer, key=lambda constant: len(constant.raw_data))
    assert len(stored.raw_data) == size


any_float = st.floats(width=32, allow_nan=False)
grids = st.builds(
    lambda codes, step: np.array(codes, np.float32) * np.float32(step),
    st.lists(st.integers(-300, 300), min_size=1, max_size=60),
    st.floats(2**-20, 2**20, width=32),
)
vectors = st.lists(any_float, max_size=60).map(lambda values: np.array(values, np.float32)) | grids


@given(value=vectors)
@settings(max_examples=100, deadline=None)
def test_a_narrow_constant_is_the_same_to_the_bit(value: np.ndarray) -> None:
    if not value.size:
        value = np.zeros(1, np.float32)
    builder = OnnxBuilder("input", value.shape)
    name = narrow_constant(builder, value, "constant")
    total = builder.op("Mul", ["input", name], {}, "product")
    model = builder.model({"output": (total, value.shape)})
    (result,) = all_outputs(model.SerializeToString(), np.ones((1, *value.shape), np.float32))
    np.testing.assert_array_equal(result[0], value)
    assert np.array_equal(np.signbit(result[0]), np.signbit(value))


def test_short_names_are_all_different_and_start_with_a_letter() -> None:
    names = list(islice(short_names(), 5000))
    assert len(set(names)) == 5000
    assert all(name[0].isalpha() and name.isalnum() for name in names)
    assert (len(names[51]), len(names[52]), len(names[4999])) == (1, 2, 3)


def test_the_most_used_value_gets_the_shortest_name() -> None:
    nodes = [helper.make_node("Relu", ["input"], ["often"])]
    nodes += [helper.make_node("Neg", ["often"], [f"once{index}"]) for index in range(60)]
    model = OnnxBuilder("input", SHAPE).model({})
    model.graph.node.extend(nodes)
    shorten(model.graph)
    assert list(model.graph.node[1].input) == ["a"]


def test_networks_are_smaller_for_it() -> None:
    graph = quantized_network().graph
    short, full = to_onnx(graph), to_onnx(graph, names="full")
    assert torch.equal(run(short, images(3))[0], run(full, images(3))[0])
    assert short.ByteSize() < full.ByteSize() - 3000

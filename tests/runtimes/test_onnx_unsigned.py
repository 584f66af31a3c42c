"""Rewriting int8 weights as uint8 changes no value, on models that ONNX Runtime's own setting refuses."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from pocketcnn.runtimes.onnx_unsigned import with_uint8_weights
from tests.support.onnx_files import classifier, int8_convolution, model

SHAPE = [1, 4, 5, 5]
WEIGHT = np.random.default_rng(0).integers(-128, 128, (4, 4, 1, 1)).astype(np.int8)
TENSORS = {
    "scale": np.float32(0.02),
    "zero": np.uint8(128),
    "weight": WEIGHT,
    "steps": np.array([0.01, 0.02, 0.03, 0.04], np.float32),
    "narrow": np.array([0.5, 0.25, 1, 2], np.float16),
    "seven": np.int8(7),
    "sevens": np.full(4, 7, np.int8),
    "shared step": np.float32(0.5),
}


def convolutions(*weights: list[str], axis: int | None = 0) -> bytes:
    """A chain of QDQ convolutions with float answers, each with these inputs of its weight's DequantizeLinear."""
    nodes = [helper.make_node("Cast", ["narrow"], ["computed"], to=TensorProto.FLOAT)]
    value = "image"
    for index, inputs in enumerate(weights):
        given = {} if axis is None else {"axis": axis}
        nodes += [
            helper.make_node("QuantizeLinear", [value, "scale", "zero"], [f"q{index}"]),
            helper.make_node("DequantizeLinear", [f"q{index}", "scale", "zero"], [f"d{index}"]),
            helper.make_node("DequantizeLinear", inputs, [f"w{index}"], **given),
            helper.make_node("Conv", [f"d{index}", f"w{index}"], [f"c{index}"]),
        ]
        value = f"c{index}"
    return model(nodes, TENSORS, {"image": SHAPE}, {value: SHAPE})


MODELS = {
    "zero points": convolutions(["weight", "steps", "sevens"]),
    "no zero points": convolutions(["weight", "steps"]),
    "one scale": convolutions(["weight", "shared step"], axis=None),
    "one scale and zero point": convolutions(["weight", "shared step", "seven"], axis=None),
    "computed scale": convolutions(["weight", "computed"]),
    "a shared weight": convolutions(["weight", "steps"], ["weight", "steps"]),
    "other scales for a shared weight": convolutions(["weight", "steps", "sevens"], ["weight", "computed"]),
}


def plain(data: bytes) -> np.ndarray:
    """Without optimizations, so that every dequantization is really done."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)
    result: np.ndarray = session.run(None, {"image": image})[0]
    return result


@pytest.mark.parametrize("kind", MODELS)
def test_every_value_stays_and_no_int8_weight_is_left(kind: str) -> None:
    rewritten = with_uint8_weights(MODELS[kind])
    onnx.checker.check_model(onnx.ModelProto.FromString(rewritten), full_check=True)
    np.testing.assert_array_equal(plain(rewritten), plain(MODELS[kind]))
    graph = onnx.ModelProto.FromString(rewritten).graph
    read = {node.input[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    assert not any(c.data_type == TensorProto.INT8 and c.name in read for c in graph.initializer)


def test_a_shared_weight_is_stored_once() -> None:
    graph = onnx.ModelProto.FromString(with_uint8_weights(MODELS["a shared weight"])).graph
    assert sum(c.data_type == TensorProto.UINT8 and list(c.dims) == list(WEIGHT.shape) for c in graph.initializer) == 1


def test_float_models_and_bytes_that_are_no_model_stay_as_they_are() -> None:
    before = onnx.ModelProto.FromString(classifier())
    assert onnx.ModelProto.FromString(with_uint8_weights(classifier())) == before
    assert with_uint8_weights(b"\x89PNG\r\n\x1a\n" + bytes(100)) == b"\x89PNG\r\n\x1a\n" + bytes(100)


def test_weights_within_functions_are_found() -> None:
    data = onnx.ModelProto.FromString(int8_convolution(np.full((4, 4, 1, 1), 3), 1.0))
    inner = data.graph.node[2]
    function = helper.make_function(
        "f", "dequantize", ["a", "b", "c"], ["d"], [helper.make_node(inner.op_type, ["a", "b", "c"], ["d"], axis=0)],
        [helper.make_opsetid("", 17)],
    )  # fmt: skip
    call = helper.make_node("dequantize", list(inner.input), list(inner.output), domain="f")
    data.graph.node[2].CopyFrom(call)
    data.functions.append(function)
    data.opset_import.append(helper.make_opsetid("f", 1))
    rewritten = onnx.ModelProto.FromString(with_uint8_weights(data.SerializeToString()))
    assert any(c.data_type == TensorProto.UINT8 and list(c.dims) == [4, 4, 1, 1] for c in rewritten.graph.initializer)

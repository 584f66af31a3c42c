"""Small ONNX models, written with onnx alone, for the tests of whatever runs ONNX files."""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


def model(nodes: Sequence[onnx.NodeProto], tensors: dict[str, np.ndarray], inputs: dict, outputs: dict) -> bytes:
    """A checked model; `inputs` and `outputs` map names to float32 shapes."""
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(proto)
    return proto.SerializeToString()


def classifier(size: int | str = 8, channels: int = 3, classes: int = 4, seed: int = 0) -> bytes:
    """3x3 convolution, ReLU, global mean, linear: (N, channels, size, size) -> (N, classes)."""
    weight, dense = classifier_weights(channels, classes, seed)
    nodes = [
        helper.make_node("Conv", ["image", "weight"], ["features"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["features"], ["active"]),
        helper.make_node("GlobalAveragePool", ["active"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "dense"], ["scores"]),
    ]
    shape = ["N", channels, size, size]
    return model(nodes, {"weight": weight, "dense": dense}, {"image": shape}, {"scores": ["N", classes]})


def classifier_weights(channels: int = 3, classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The convolution (8, channels, 3, 3) and the linear layer (8, classes) of `classifier`."""
    random = np.random.default_rng(seed)
    weight = random.standard_normal((8, channels, 3, 3)).astype(np.float32)
    return weight, random.standard_normal((8, classes)).astype(np.float32)


def int8_convolution(weight: np.ndarray, output_scale: float, group: int = 1) -> bytes:
    """A QDQ convolution without padding: uint8 activations of scale 1 and zero point 0, int8 `weight` of scale 1."""
    tensors = {
        "one": np.float32(1),
        "zero": np.uint8(0),
        "weight": weight.astype(np.int8),
        "weight_scale": np.ones(len(weight), np.float32),
        "weight_zero": np.zeros(len(weight), np.int8),
        "output_scale": np.float32(output_scale),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "one", "zero"], ["image_q"]),
        helper.make_node("DequantizeLinear", ["image_q", "one", "zero"], ["image_dq"]),
        helper.make_node("DequantizeLinear", ["weight", "weight_scale", "weight_zero"], ["weight_dq"], axis=0),
        helper.make_node("Conv", ["image_dq", "weight_dq"], ["sum"], group=group),
        helper.make_node("QuantizeLinear", ["sum", "output_scale", "zero"], ["sum_q"]),
        helper.make_node("DequantizeLinear", ["sum_q", "output_scale", "zero"], ["result"]),
    ]
    shapes = {"image": ["N", weight.shape[1] * group, "H", "W"]}, {"result": ["N", len(weight), "OH", "OW"]}
    return model(nodes, tensors, *shapes)

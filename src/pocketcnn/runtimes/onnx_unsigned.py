"""Rewrite of an ONNX model to uint8 weights, for CPUs on which uint8 x int8 products saturate.

ONNX Runtime has a setting for this (session.x64quantprecision). As of version 1.32 it fails on valid models: on shared
weights, and on weights without zero points that are not fused. Before version 1.31 it terminates the process if zero points
are absent. In a model that was rewritten here the setting has nothing left to change.
"""

from typing import Any

import numpy as np
import onnx
import onnx.inliner
from onnx import numpy_helper

_MIDDLE = 128


def with_uint8_weights(data: bytes) -> bytes:
    """The model with 128 added to each int8 weight of its QDQ groups and to its zero points: the same real values.

    Bytes that are not an ONNX model are returned unchanged.
    """
    try:
        model = onnx.ModelProto.FromString(data)
    except Exception:  # protobuf's exception has no stable import path, and ONNX Runtime gives a better message
        return data
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    constants = {constant.name: constant for constant in model.graph.initializer}
    raised: dict[str, str] = {}
    for node in model.graph.node:
        weight = constants.get(node.input[0]) if node.op_type == "DequantizeLinear" else None
        if weight is not None and weight.data_type == onnx.TensorProto.INT8:
            zero = _zero_points(node, weight, constants)
            if zero is not None:
                node.input[:] = [
                    _add(model, raised, f"{weight.name}/uint8", numpy_helper.to_array(weight)),
                    node.input[1],
                    _add(model, raised, f"{node.output[0]}/zero_points", zero),
                ]
    result: bytes = model.SerializeToString()
    return result


def _zero_points(node: Any, weight: Any, constants: dict[str, Any]) -> np.ndarray | None:
    """The zero points of a weight, explicit or default; None if they are not constant."""
    if len(node.input) > 2 and node.input[2]:
        written = constants.get(node.input[2])
        return None if written is None else numpy_helper.to_array(written)
    if (scale := constants.get(node.input[1])) is not None:
        return np.zeros(tuple(scale.dims), np.int8)
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
    return np.zeros(weight.dims[axis], np.int8)  # a computed scale is per channel


def _add(model: Any, raised: dict[str, str], name: str, values: np.ndarray) -> str:
    """Add int8 `values` as uint8, once per name."""
    if name not in raised:
        used = {constant.name for constant in model.graph.initializer}
        used |= {value for node in model.graph.node for value in (*node.input, *node.output)}
        raised[name] = next(free for free in (name + "'" * count for count in range(len(used) + 1)) if free not in used)
        unsigned = (values.astype(np.int16) + _MIDDLE).astype(np.uint8)
        model.graph.initializer.append(numpy_helper.from_array(unsigned, raised[name]))
    return raised[name]

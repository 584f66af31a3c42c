"""Construction of a compact ONNX graph: duplicates are shared and default attributes are omitted."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from pocketcnn.formats.onnx.names import rename
from pocketcnn.graph.names import numbered
from pocketcnn.graph.node import Shape

OPSET = 17
IR_VERSION = 8
"""The IR version of opset 17; ONNX Runtime reads it since version 1.12."""

BATCH_AXIS = "N"

_ASSUMED = {"strides": 1, "dilations": 1, "pads": 0}
"""List attributes with the value of all their elements that ONNX assumes by default."""


class OnnxBuilder:
    """Collects operators and constants, without duplicates.

    An operator with the type, inputs and attributes of an earlier one, and a constant with the dtype, shape and bytes of an
    earlier one, are shared with it.
    """

    def __init__(self, input_name: str, input_shape: Shape) -> None:
        self._input = _value_info(input_name, input_shape)
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._known: dict[object, str] = {}
        self._used_names: set[str] = {input_name}

    def op(self, op_type: str, inputs: Sequence[str], attributes: Mapping[str, object], hint: str) -> str:
        """Add an operator and return the name of its output, derived from `hint`. An empty name is an absent input."""
        node = helper.make_node(op_type, inputs, [], **_needed(op_type, attributes))
        key = node.SerializeToString(deterministic=True)
        if key not in self._known:
            self._known[key] = self._fresh(hint)
            node.output.append(self._known[key])
            node.name = self._known[key]  # used by runtimes in profiles and error messages
            self._nodes.append(node)
        return self._known[key]

    def constant(self, value: np.ndarray, hint: str, *, shared: bool = True) -> str:
        """Add a constant and return its name, derived from `hint`; without `shared` it is never reused for another one."""
        key = (value.dtype.str, value.shape, value.tobytes())
        if shared and key in self._known:
            return self._known[key]
        name = self._fresh(hint)
        self._constants.append(_tensor(value, name))
        if shared:
            self._known[key] = name
        return name

    def constant_names(self) -> dict[bytes, str]:
        """The contents of the constants so far, each with the first of its names."""
        contents = [(numpy_helper.to_array(constant).tobytes(), constant.name) for constant in self._constants]
        return dict(reversed(contents))

    def model(self, outputs: Mapping[str, tuple[str, Shape]]) -> onnx.ModelProto:
        """The finished model. The builder cannot be used afterwards.

        Args:
            outputs: name of each output -> the name of its value, and the value's shape per image.
        """
        names = {self._input.name: self._input.name}
        computed = {name for node in self._nodes for name in node.output}
        for output, (value, _) in outputs.items():
            if value not in computed or value in names:  # the input, a constant, or a value that is already an output
                copy = self._fresh(output)
                self._nodes.append(helper.make_node("Identity", [value], [copy]))
                value = copy
            names[value] = output
        infos = [_value_info(output, shape) for output, (_, shape) in outputs.items()]
        graph = helper.make_graph(self._nodes, "pocketcnn", [self._input], infos, self._constants)
        opset = helper.make_opsetid("", OPSET)
        rename(graph, names, numbered)
        return helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="pocketcnn")

    def _fresh(self, hint: str) -> str:
        name = next(name for name in numbered(hint) if name not in self._used_names)
        self._used_names.add(name)
        return name


def _needed(op_type: str, attributes: Mapping[str, object]) -> dict[str, object]:
    """The attributes without those that have ONNX's default value."""
    defaults = _defaults(op_type)
    return {
        name: value
        for name, value in attributes.items()
        if helper.get_attribute_value(helper.make_attribute(name, value)) != defaults.get(name)
        and not (isinstance(value, Iterable) and name in _ASSUMED and set(value) == {_ASSUMED[name]})
    }


@cache
def _defaults(op_type: str) -> dict[str, object]:
    declared = onnx.defs.get_schema(op_type, OPSET).attributes.items()
    return {
        name: helper.get_attribute_value(attribute.default_value)
        for name, attribute in declared
        if attribute.default_value.name
    }


def _value_info(name: str, shape: Shape) -> Any:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [BATCH_AXIS, *shape])


def _tensor(value: np.ndarray, name: str) -> Any:
    """A constant; small int64 values are stored as protobuf varints (one byte each), all others as raw data."""
    if value.dtype != np.int64 or np.any(value < 0):
        return numpy_helper.from_array(value, name)
    return helper.make_tensor(name, onnx.TensorProto.INT64, value.shape, value.reshape(-1).tolist())

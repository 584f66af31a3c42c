"""Translation of an ONNX model into a `Graph`, operator by operator.

Everything that does not depend on the image (shapes, index lists, compact constants) is folded. Every other operator becomes
nodes by a table of rules that the caller passes; a rule calls the methods of `Reader`. A layer is named after its weight if
that has a module path as its name, as in files exported from PyTorch.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import nn

from pocketcnn.errors import PocketcnnError
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.names import numbered
from pocketcnn.graph.node import Node, Shape
from pocketcnn.graph.numerics import ActivationFormat, Numerics, WeightFormat
from pocketcnn.graph.ops import OPS
from pocketcnn.graph.passes.recognise import recognise

FREE_BATCH = 7
"""Value of a symbolic batch axis while shapes are computed; a number that is rare as another size."""

ALIASES = frozenset({"Identity", "Dropout", "Cast"})
"""Operators that are the identity at inference."""

MAX_CONSTANT = 2**28
"""Largest number of elements of one constant, so that a small file cannot exhaust the memory."""


class ReadError(PocketcnnError):
    """An ONNX file cannot be read: it is damaged or has an operator that is not supported."""


@dataclass(frozen=True)
class Computed:
    """A value that depends on the image: the name of its node, and its format if the ONNX value is quantized."""

    node: str
    stored: ActivationFormat | None = None


@dataclass(frozen=True)
class Integers:
    """A dequantized constant: ``values = scale * integers`` along `axis`."""

    integers: np.ndarray
    scale: np.ndarray
    axis: int


Value = Computed | np.ndarray


@dataclass
class Reader:
    """Builds a graph from an ONNX model; `rules` maps an operator type to its translation rule."""

    model: onnx.ModelProto
    rules: "Rules"
    batch: int = FREE_BATCH
    nodes: list[Node] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    buffers: set[str] = field(default_factory=set)
    activations: dict[str, ActivationFormat] = field(default_factory=dict)
    weights: dict[str, WeightFormat] = field(default_factory=dict)
    integers: dict[str, Integers] = field(default_factory=dict)
    current: Any = None

    def graph(self) -> Graph:
        """Translate the whole model."""
        self._initializers()
        self._image()
        self._readers = self._count_readers()
        for node in self.model.graph.node:
            self.current = node
            if node.domain not in ("", "ai.onnx"):
                self.fail(f"it belongs to the runtime-specific domain {node.domain!r}")
            if self._is_constant(node):
                self._fold(node)
                continue
            rule = self.rules.get(node.op_type)
            if rule is None:
                self.fail("the operator is not supported")
            made = rule(self)
            for name, value in zip(node.output, made if isinstance(made, tuple) else (made,), strict=False):
                self.values[name] = Computed(value) if isinstance(value, str) else value
        return self._finished()

    def _finished(self) -> Graph:
        self.current = None
        numerics = Numerics(activations=self.activations, weights=self.weights)
        graph = Graph(tuple(self.nodes), self._output(), self.tensors, numerics, frozenset(self.buffers)).rebuilt()
        return graph if numerics else recognise(graph)

    def _initializers(self) -> None:
        for tensor in self.model.graph.initializer:
            self.values[tensor.name] = numpy_helper.to_array(tensor)

    def _image(self) -> None:
        inputs = [value for value in self.model.graph.input if value.name not in self.values]
        if len(inputs) != 1:
            raise ReadError(f"it has {len(inputs)} inputs ({', '.join(v.name for v in inputs)}); it must have one.")
        batch, *shape = [axis.dim_value for axis in inputs[0].type.tensor_type.shape.dim] or [0]
        if len(shape) != 3 or min(shape) < 1:
            raise ReadError(
                f"its input {inputs[0].name!r} has the shape {(batch or 'N', *(size or '?' for size in shape))}; "
                "it must be (N, C, H, W) with fixed C, H and W. Export it for images of one size."
            )
        self.batch = batch or FREE_BATCH
        self.values[inputs[0].name] = Computed(self._append(Node("input", "input", (), tuple(shape))))

    def _output(self) -> str:
        outputs = [value.name for value in self.model.graph.output]
        if len(outputs) != 1:
            raise ReadError(f"it has {len(outputs)} outputs ({', '.join(outputs)}); it must have one.")
        value = self.values.get(outputs[0])
        if not isinstance(value, Computed):
            raise ReadError("its output does not depend on its input.")
        if value.stored is not None:
            raise ReadError("its output is quantized; the last operator must be DequantizeLinear.")
        return value.node

    def _count_readers(self) -> Counter[str]:
        """Number of readers of each value, where identity operators are followed."""
        root: dict[str, str] = {}
        readers: Counter[str] = Counter()
        for node in self.model.graph.node:
            if node.op_type in ALIASES:
                root[node.output[0]] = root.get(node.input[0], node.input[0])
            else:
                readers.update(root.get(name, name) for name in node.input)
        readers.update(root.get(value.name, value.name) for value in self.model.graph.output)
        self._roots = root
        return readers

    def is_read_once(self, name: str) -> bool:
        """Whether the value has exactly one reader."""
        return self._readers[self._roots.get(name, name)] == 1

    # Constants ------------------------------------------------------------------------------------------------

    def _is_constant(self, node: Any) -> bool:
        if node.op_type == "Shape":
            return True
        return all(not name or isinstance(self.known(name), np.ndarray) for name in node.input)

    def _fold(self, node: Any) -> None:
        if node.op_type == "Shape":
            self._fold_shape(node)
        elif node.op_type == "DequantizeLinear":
            self._fold_dequantize(node)
        else:
            for name, value in zip(node.output, self._evaluated(node), strict=True):
                self.values[name] = np.asarray(value)

    def _fold_shape(self, node: Any) -> None:
        value = self.known(node.input[0])
        full = value.shape if isinstance(value, np.ndarray) else (self.batch, *self.shapes[value.node])
        start, end = self.attribute("start", 0), self.attribute("end", len(full))
        self.values[node.output[0]] = np.asarray(full[start:end], np.int64)

    def _fold_dequantize(self, node: Any) -> None:
        integers, scale = self.array(0), self.array(1).astype(np.float32)
        zero = self.array(2) if len(node.input) > 2 and node.input[2] else np.zeros((), integers.dtype)
        axis = self.attribute("axis", 1) % max(integers.ndim, 1)
        centred = integers.astype(np.int64) - _along(zero.astype(np.int64), axis, integers.ndim)
        if integers.dtype in (np.int8, np.uint8) and integers.ndim > 1 and np.abs(centred).max(initial=0) <= 127:
            self.integers[node.output[0]] = Integers(centred, scale, axis)
        self.values[node.output[0]] = (centred * _along(scale.astype(np.float64), axis, integers.ndim)).astype(
            np.float32
        )

    def _evaluated(self, node: Any) -> Sequence[Any]:
        """The results of an operator on constants, by onnx's reference evaluator."""
        if node.op_type in ("ConstantOfShape", "Expand", "Tile"):
            shape = self.array(0 if node.op_type == "ConstantOfShape" else 1)
            if np.prod(shape.astype(np.float64)) > MAX_CONSTANT:
                self.fail(f"its result would be too large (shape {tuple(int(size) for size in shape)})")
        inputs = {name: self.array(index) for index, name in enumerate(node.input) if name}
        undefined = onnx.TypeProto()
        graph = helper.make_graph(
            [node],
            "constant",
            [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
             for name, array in inputs.items()],
            [onnx.ValueInfoProto(name=name, type=undefined) for name in node.output],
        )  # fmt: skip
        model = helper.make_model(graph, opset_imports=self.model.opset_import, ir_version=self.model.ir_version)
        try:
            results: list[Any] = ReferenceEvaluator(model).run(None, inputs)
        except Exception as error:  # the reference evaluator raises any exception of numpy
            self.fail(f"it cannot be computed ({error})")
        return results

    # Methods for rules ----------------------------------------------------------------------------------------

    def known(self, name: str) -> Value:
        """The constant or computed value of a name."""
        if name not in self.values:
            self.fail(f"it reads {name!r}, which no earlier operator computes")
        return self.values[name]

    def has(self, index: int) -> bool:
        """Whether the operator has input `index`."""
        return index < len(self.current.input) and bool(self.current.input[index])

    def is_constant(self, index: int) -> bool:
        """Whether input `index` is a constant."""
        return self.has(index) and isinstance(self.known(self.current.input[index]), np.ndarray)

    def array(self, index: int) -> np.ndarray:
        """The constant at input `index`."""
        if not self.has(index):
            self.fail(f"its input {index + 1} is missing")
        value = self.known(self.current.input[index])
        if not isinstance(value, np.ndarray):
            self.fail(f"its input {index + 1} depends on the image, but must be a constant")
        return value

    def computed(self, index: int) -> Computed:
        """The computed value at input `index`."""
        value = self.known(self.current.input[index]) if self.has(index) else None
        if not isinstance(value, Computed):
            self.fail(f"its input {index + 1} is a constant, but must depend on the image")
        return value

    def value(self, index: int, rank: int = 0) -> str:
        """The name of the node for input `index`; a constant becomes a constant node with `rank` axes."""
        if self.is_constant(index):
            return self._constant_node(self.current.input[index], self.array(index), rank)
        found = self.computed(index)
        if found.stored is not None:
            self.fail("it computes on integers; only the QDQ form is supported")
        return found.node

    def shape(self, index: int) -> Shape:
        """The shape of input `index` for one image."""
        value = self.known(self.current.input[index])
        return value.shape if isinstance(value, np.ndarray) else self.shapes[value.node]

    def axis(self, axis: int, rank: int) -> int:
        """An axis of a value with batch axis, as the axis of one image."""
        positive = axis % (rank + 1)
        if positive == 0:
            self.fail("it operates along the batch axis")
        return positive - 1

    def without_batch(self, full: Sequence[int]) -> Shape:
        """A shape of the file without its batch axis."""
        if not full or full[0] != self.batch:
            shown = tuple("N" if size == FREE_BATCH == self.batch else size for size in full)
            self.fail(f"its result has the shape {shown}: it mixes the images of a batch, or the batch is fixed in it")
        return tuple(int(size) for size in full[1:])

    def attribute(self, name: str, default: Any = None) -> Any:
        """The operator's attribute as a Python value."""
        for attribute in self.current.attribute:
            if attribute.name == name:
                value = helper.get_attribute_value(attribute)
                return value.decode() if isinstance(value, bytes) else value
        return default

    def add(
        self,
        op: str,
        *inputs: str,
        tensors: Mapping[str, str] | None = None,
        name: str | None = None,
        stored: ActivationFormat | None = None,
        **attrs: Any,
    ) -> str:
        """Append a node and return its name; `stored` is the quantization format of its value."""
        node = Node(self._unused(name or self._own_name(op)), op, tuple(inputs), (), attrs, dict(tensors or {}))
        by_role = {role: tuple(self.tensors[tensor].shape) for role, tensor in node.tensors.items()}
        try:
            shape = OPS[op].shape(node, [self.shapes[value] for value in inputs], by_role)
        except PocketcnnError as error:
            self.fail(str(error).rstrip("."))
        if stored is not None:
            self.activations[node.name] = stored
        return self._append(Node(node.name, op, node.inputs, shape, node.attrs, node.tensors))

    def layer(self, op: str, x: str, roles: Mapping[str, np.ndarray], axis: int = 0, **attrs: Any) -> str:
        """Append a node with parameters; its weight is input 1, with the output channels along `axis`."""
        path = self._path(self.current.input[1])
        name = self._unused(path or self._own_name(op).replace(".", "_"))
        owner = name if path == name else _module_name(name)
        named = {role: f"{owner}.{role}" for role in roles}
        for role, tensor in named.items():
            self.tensors[tensor] = torch.from_numpy(np.array(roles[role], np.float32))
        self._integer_weight(named, axis)
        return self.add(op, x, tensors=named, name=name, **attrs)

    def _integer_weight(self, named: Mapping[str, str], axis: int) -> None:
        """Record the format of a weight that was quantized per tensor or per output channel."""
        found = self.integers.get(self.current.input[1])
        if found is None or (found.scale.ndim and found.axis != axis):
            return
        outputs = found.integers.shape[axis]
        scale = torch.from_numpy(np.broadcast_to(found.scale.reshape(-1), (outputs,)).astype(np.float32))
        if bool((scale > 0).all()):
            self.weights[named["weight"]] = WeightFormat(scale=f"{named['weight']}_scale")
            self.tensors[f"{named['weight']}_scale"] = scale

    def tensor(self, name: str, value: np.ndarray, *, fixed: bool = False) -> str:
        """Add a tensor with a unique name derived from `name` and return the name; `fixed` tensors are not trained."""
        fresh = next(free for free in numbered(name) if free not in self.tensors)
        self.tensors[fresh] = torch.from_numpy(np.array(value))
        if fixed:
            self.buffers.add(fresh)
        return fresh

    def fail(self, problem: str) -> NoReturn:
        """Raise a `ReadError` that names the operator.

        Raises:
            ReadError: always.
        """
        node = self.current
        raise ReadError(f"operator {node.name or node.output[0]!r} ({node.op_type}): {problem}.")

    # Names ----------------------------------------------------------------------------------------------------

    def _constant_node(self, name: str, value: np.ndarray, rank: int) -> str:
        array = value.astype(np.float32)
        shape = array.shape[1:] if array.ndim == rank + 1 and len(array) == 1 else array.shape
        if len(shape) > rank:
            self.fail(f"its constant {name!r} has the shape {array.shape}: it mixes the images of a batch")
        shape = (1,) * (rank - len(shape)) + tuple(shape)
        trained = any(tensor.name == name for tensor in self.model.graph.initializer)
        tensor = self.tensor(f"{_module_name(name)}.value", array.reshape(shape), fixed=not trained)
        return self.add("constant", tensors={"value": tensor}, name=f"{name}/constant", shape=shape)

    def _append(self, node: Node) -> str:
        self.nodes.append(node)
        self.shapes[node.name] = node.shape
        return node.name

    def _own_name(self, op: str) -> str:
        return str(self.current.name or self.current.output[0] or op).strip("/")

    def _path(self, tensor: str) -> str | None:
        """The module path in a weight's name, such as ``features.0`` of ``features.0.weight``."""
        path, _, role = tensor.split("/")[0].rpartition(".")
        parts = path.split(".")
        sound = all(re.fullmatch(r"\w+", part) and not hasattr(nn.Module, part) for part in parts)
        return path if role == "weight" and sound else None

    def _unused(self, name: str) -> str:
        return next(free for free in numbered(name) if free not in self.shapes)


Result = str | Value | tuple[str | Value, ...]
Rule = Callable[[Reader], Result]
Rules = Mapping[str, Rule]
"""ONNX operator type -> its translation rule."""


def _module_name(name: str) -> str:
    """A valid name for a sub-module."""
    return "layer_" + re.sub(r"\W", "_", name)


def _along(values: np.ndarray, axis: int, rank: int) -> np.ndarray:
    """A vector reshaped to broadcast along one axis."""
    return values.reshape([-1 if index == axis else 1 for index in range(rank)]) if values.ndim else values

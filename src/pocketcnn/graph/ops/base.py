"""The definition of an operation: one `Op` entry with its shape rule, execution, cost, ONNX export and import, and properties.

A new operation is one entry in a table of this package. Code that needs a property of an operation reads its entry; there
are no lists of names elsewhere. CONTRIBUTING.md has the complete recipe. Rules are per image: shapes have no batch axis,
while `run` works on batches, so axis `a` of a shape is axis `a + 1` of a tensor.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from typing import Any, NoReturn, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from pocketcnn.errors import PocketcnnError
from pocketcnn.graph.node import Attr, Node, Shape
from pocketcnn.graph.ops.facts import ChannelRule, Family
from pocketcnn.graph.ops.reach import Reach


class GraphError(PocketcnnError):
    """An invalid graph: incompatible shapes, an unknown operation, a missing tensor."""


MAX_INT = 2**31 - 1
MAX_FLOAT = torch.finfo(torch.float32).max


class Kind(Enum):
    """The type of an attribute, within the ranges of int32 and float32; checked for every graph, also from files."""

    INT = "an integer"
    FLOAT = "a number"
    BOOL = "true or false"
    PAIR = "two integers"
    QUAD = "four integers"
    INTS = "a list of integers"

    def accepts(self, value: Attr) -> bool:
        """Whether `value` has this type."""
        if self is Kind.BOOL:
            return isinstance(value, bool)
        if self is Kind.FLOAT:
            return type(value) in (int, float) and -MAX_FLOAT <= value <= MAX_FLOAT  # type: ignore[operator]
        if self is Kind.INT:
            return _is_int(value)
        if not isinstance(value, tuple) or not all(map(_is_int, value)):
            return False
        return {Kind.PAIR: len(value) == 2, Kind.QUAD: len(value) == 4}.get(self, True)


def _is_int(value: object) -> bool:
    return type(value) is int and abs(value) <= MAX_INT


class OnnxEmitter(Protocol):
    """Interface for an operation's ONNX export rule; the writer decides whether values and tensors are float or QDQ."""

    @property
    def inputs(self) -> Sequence[str]:
        """ONNX names of the node's inputs."""

    @property
    def shapes(self) -> Sequence[Shape]:
        """Shapes of the node's inputs, per image."""

    def op(self, op_type: str, *inputs: str, **attributes: object) -> str:
        """Add one ONNX operator and return its output's name."""

    def constant(self, value: np.ndarray | np.generic) -> str:
        """Add a constant and return its name."""

    def number(self, value: float) -> str:
        """Add a scalar constant in the type of the inputs: quantized if they are integers."""

    def integer_weight(self, value: np.ndarray) -> str:
        """Add a weight of integers from -127 to 127, in a form that lets the operator run as an integer operator."""

    def tensors(self, *roles: str) -> list[str]:
        """ONNX names of the node's tensors by role; trailing roles without a tensor are omitted."""

    def array(self, role: str) -> np.ndarray:
        """The values of one of the node's tensors, for export rules that rearrange them."""


class OnnxOperator(Protocol):
    """Interface for an operation's ONNX import rule; inputs are numbered from 0."""

    def value(self, index: int, rank: int = 0) -> str:
        """The name of the node for input `index`."""

    def array(self, index: int) -> np.ndarray:
        """The constant at input `index`."""

    def shape(self, index: int) -> Shape:
        """The shape of input `index` for one image."""

    def axis(self, axis: int, rank: int) -> int:
        """An axis of a value with batch axis, as the axis of one image."""

    def attribute(self, name: str, default: Any = None) -> Any:
        """The operator's attribute as a Python value."""

    def add(self, op: str, *inputs: str, **attrs: Any) -> str:
        """Append a node and return its name."""

    def layer(self, op: str, x: str, roles: Mapping[str, np.ndarray], axis: int = 0, **attrs: Any) -> str:
        """Append a node with parameters; its weight is the operator's input 1."""

    def fail(self, problem: str) -> NoReturn:
        """Raise an error that names the operator."""


ShapeRule = Callable[[Node, Sequence[Shape], Mapping[str, Shape]], Shape]
Run = Callable[[Node, Sequence[Tensor], Mapping[str, Tensor], bool], Tensor]
OnnxForm = Callable[[Node, OnnxEmitter], str]
OnnxReader = Callable[[OnnxOperator], str]
Function = Callable[[Node, np.ndarray], np.ndarray]
Bounds = Callable[[Node], tuple[float, float]]
Count = Callable[[Node, Sequence[Shape], Mapping[str, Shape]], int]
Build = Callable[[Node, Mapping[str, Tensor]], nn.Module]


def no_madds(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> int:
    """Zero multiply-adds: element-wise operations, pooling and data movement."""
    return 0


def unbounded(node: Node) -> tuple[float, float]:
    """No bounds: the result may be any number."""
    return -inf, inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """One operation of the graph.

    Fields without a default must be given, so that no property of an operation is guessed.

    Attributes:
        name: value of `Node.op`.
        arity: number of inputs; None: one or more.
        attrs: the attributes that a node must have, and their types.
        tensors: required roles of tensors; optional: optional roles.
        shape: (node, input shapes, tensor shapes by role) -> output shape; raises `GraphError` if they are incompatible.
        run: (node, inputs with batch axis, tensors by role, training) -> output with batch axis.
        onnx: ONNX export, (node, emitter) -> name of the ONNX value.
        onnx_readers: ONNX import, for operator types that always map to this operation: (operator) -> name of the node.
            Operators that may map to several operations are in `formats/onnx/reader_rules.py`.
        aten: ATen operators that are this operation when called with one tensor and default arguments.
        madds: (node, input shapes, tensor shapes) -> multiply-adds for one image.
        module: (node, tensors by role) -> the equivalent `torch.nn` layer, which holds the tensors.
        buffers: roles that are not trained.
        inplace: whether the output may overwrite the first input (same number of elements, each read once).
        view: whether the output is a view of the first input: no computation and no memory.
        family: the kind of operation.
        channels: how the output channels depend on the input channels, for pruning.
        reach: the receptive-field rule: which part of its inputs a part of its output reads, for patch-based inference.
        function: for an element-wise function, (node, x in float64) -> the same in numpy; quantized networks use its table.
        gate: for ``x * f1(f2(… x))``, the operations f1, f2, …, so that the composition is recognised in other networks.
        bounds: (node) -> lower and upper bound of the results.
        clips: whether it only clamps values to `bounds`.
        homogeneous: whether f(a * x) = a * f(x) for a > 0, if a bias or bound is scaled too.
        data_movement: whether every result is a value of an input, or the padding number.
        label: its name in papers and drawings, if that is not `name` with spaces.
    """

    name: str
    arity: int | None = 1
    attrs: Mapping[str, Kind] = field(default_factory=dict)
    tensors: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    buffers: tuple[str, ...] = ()
    shape: ShapeRule
    run: Run
    onnx: OnnxForm
    madds: Count = no_madds
    module: Build | None = None
    inplace: bool = False
    view: bool = False
    family: Family
    channels: ChannelRule
    reach: Reach
    function: Function | None = None
    onnx_readers: Mapping[str, OnnxReader] = field(default_factory=dict)
    aten: tuple[str, ...] = ()
    gate: tuple[str, ...] = ()
    bounds: Bounds = unbounded
    clips: bool = False
    homogeneous: bool = False
    data_movement: bool = False
    label: str = ""

    @property
    def is_activation(self) -> bool:
        """Whether it is a non-linear function of each element."""
        return self.family is Family.ACTIVATION and self.inplace

    @property
    def title(self) -> str:
        """Its name in reports and drawings."""
        return self.label or self.name.replace("_", " ")


def same_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    """The output has the shape of the first input."""
    return inputs[0]


def require(condition: bool, node: Node, problem: str) -> None:
    """Raise a `GraphError` that names the node unless `condition` holds."""
    if not condition:
        raise GraphError(f"Node {node.name!r} ({node.op}): {problem}.")


def require_rank(node: Node, shape: Shape, rank: int) -> None:
    """Raise a `GraphError` unless `shape` has `rank` axes."""
    layout = {1: "be (F,)", 3: "be (C, H, W)"}.get(rank, f"have {rank} axes")
    require(len(shape) == rank, node, f"the input has shape {shape}; it must {layout}")


def stored_number(node: Node, name: str) -> np.float64:
    """An attribute rounded to float32, as files store it."""
    return np.float64(np.float32(node.number(name)))


def copy_into(module: nn.Module, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Copy `tensors` (by role) into the parameters and buffers of the same names."""
    with torch.no_grad():
        for role, tensor in tensors.items():
            getattr(module, role).copy_(tensor)
    return module

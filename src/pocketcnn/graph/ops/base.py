"""What the IR knows of an operation: one `Op` entry holds how it is checked, run, counted and written, and what it is like.

A new operation is one entry in one of the tables of this package; whatever asks what an operation is like asks its entry, so that
no list of names elsewhere needs it. CONTRIBUTING.md has the whole recipe. All rules are per image: shapes have no batch axis,
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
    """A graph that cannot be: shapes that do not fit, an unknown operation, a missing tensor."""


MAX_INT = 2**31 - 1
MAX_FLOAT = torch.finfo(torch.float32).max


class Kind(Enum):
    """What an attribute may hold, within what int32 and float32 hold; checked before a graph from a file is believed."""

    INT = "an integer"
    FLOAT = "a number"
    BOOL = "true or false"
    PAIR = "two integers"
    QUAD = "four integers"
    INTS = "a list of integers"

    def accepts(self, value: Attr) -> bool:
        """Whether `value` is of this kind."""
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
    """What an op's ONNX form is written with; the writer decides how values and tensors really look (float or QDQ)."""

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
        """Add a single number in the type of the inputs: the integer that stands for it where they are integers."""

    def integer_weight(self, value: np.ndarray) -> str:
        """Add a weight of whole numbers from -127 to 127, such that the operator can compute in integers."""

    def tensors(self, *roles: str) -> list[str]:
        """ONNX names of the node's tensors; absent trailing roles are left out."""

    def array(self, role: str) -> np.ndarray:
        """The values of one of the node's tensors, for forms that must rearrange it."""


class OnnxOperator(Protocol):
    """What an ONNX operator is read with; inputs are numbered from 0."""

    def value(self, index: int, rank: int = 0) -> str:
        """The name of the node for input `index`."""

    def array(self, index: int) -> np.ndarray:
        """The constant at input `index`."""

    def shape(self, index: int) -> Shape:
        """The shape of input `index` for one image."""

    def axis(self, axis: int, rank: int) -> int:
        """An axis of a batched value as an axis of one image."""

    def attribute(self, name: str, default: Any = None) -> Any:
        """The operator's attribute as a Python value."""

    def add(self, op: str, *inputs: str, **attrs: Any) -> str:
        """Append a node and return its name."""

    def layer(self, op: str, x: str, roles: Mapping[str, np.ndarray], axis: int = 0, **attrs: Any) -> str:
        """Append a node with tensors of its own, the weight at input 1."""

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
    """Element-wise operations, pooling and data movement count no multiply-adds."""
    return 0


def unbounded(node: Node) -> tuple[float, float]:
    """The result may be any number."""
    return -inf, inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """One operation of the IR.

    What has no default must be said, so that no operation is treated by a guess.

    Attributes:
        name: as in `Node.op`.
        arity: number of inputs; None for any number from one.
        attrs: every attribute that a node must have, and its kind.
        tensors: roles that a node must fill; optional: roles that it may.
        shape: (node, input shapes, tensor shapes by role) -> output shape; raises `GraphError` when they do not fit.
        run: (node, inputs with batch axis, tensors by role, training) -> output with batch axis.
        onnx: (node, emitter) -> name of the ONNX value.
        onnx_readers: by type of an ONNX operator that is always this operation, (operator) -> name of the node. Operators that
            may be one of several operations are in the reader's own table.
        aten: ATen operations that are this one, called with one tensor and nothing that changes what they do.
        madds: (node, input shapes, tensor shapes) -> multiply-adds for one image.
        module: (node, tensors by role) -> the ordinary `torch.nn` layer that holds the tensors and does the same as `run`.
        buffers: roles that are not trained.
        inplace: whether the output may overwrite the first input (same element count, each element read once).
        view: whether the output is the first input under another shape, with no work and no memory of its own.
        family: what kind of operation it is.
        channels: how its channels follow from those of its inputs, for pruning.
        reach: which pixels of its inputs a part of its output needs, for patch-wise execution.
        function: for a function of one element, (node, x in float64) -> the same in numpy; its table is its form in integers.
        gate: the operations f1, f2, … of ``x * f1(f2(… x))``, where that is what it computes: so it is recognised where it is
            spelled out.
        bounds: (node) -> the least and the largest result that there can be.
        clips: whether it does nothing but limit values to `bounds`.
        homogeneous: whether f(a * x) = a * f(x) for a > 0, a bias or a bound being scaled along.
        moves: whether all results are values of its inputs, or the number that it pads with.
        label: what papers and drawings call it, if not its name with spaces.
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
        """Its name for people."""
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
    layout = {1: "(F,)", 3: "(C, H, W)"}.get(rank, f"{rank} axes")
    require(len(shape) == rank, node, f"the input has shape {shape}, {layout} is needed")


def stored_number(node: Node, name: str) -> np.float64:
    """An attribute as files hold it, in float32."""
    return np.float64(np.float32(node.number(name)))


def copy_into(module: nn.Module, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Copy `tensors` (by role) into the parameters and buffers of the same names."""
    with torch.no_grad():
        for role, tensor in tensors.items():
            getattr(module, role).copy_(tensor)
    return module

"""What the IR knows of an operation: one `Op` entry holds its shape rule, its run, its cost and its ONNX form.

A new operation is one entry in one of the tables of this package (and one line in `graph/aten.py`, if capture is to
meet it). All rules are per image: shapes have no batch axis, while `run` works on batches, so axis `a` of a
shape is axis `a + 1` of a tensor.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from pocketcnn.errors import PocketcnnError
from pocketcnn.graph.node import Attr, Node, Shape


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


ShapeRule = Callable[[Node, Sequence[Shape], Mapping[str, Shape]], Shape]
Run = Callable[[Node, Sequence[Tensor], Mapping[str, Tensor], bool], Tensor]
OnnxForm = Callable[[Node, OnnxEmitter], str]
Count = Callable[[Node, Sequence[Shape], Mapping[str, Shape]], int]
Build = Callable[[Node, Mapping[str, Tensor]], nn.Module]


def no_madds(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> int:
    """Element-wise operations, pooling and data movement count no multiply-adds."""
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """One operation of the IR.

    Attributes:
        name: as in `Node.op`.
        arity: number of inputs; None for any number from one.
        attrs: every attribute that a node must have, and its kind.
        tensors: roles that a node must fill; optional: roles that it may.
        shape: (node, input shapes, tensor shapes by role) -> output shape; raises `GraphError` when they do not fit.
        run: (node, inputs with batch axis, tensors by role, training) -> output with batch axis.
        onnx: (node, emitter) -> name of the ONNX value.
        madds: (node, input shapes, tensor shapes) -> multiply-adds for one image.
        module: (node, tensors by role) -> the ordinary `torch.nn` layer that holds the tensors and does the same as `run`.
        buffers: roles that are not trained.
        inplace: whether the output may overwrite the first input (same element count, each element read once).
        view: whether the output is the first input under another shape, with no work and no memory of its own.
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


def copy_into(module: nn.Module, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Copy `tensors` (by role) into the parameters and buffers of the same names."""
    with torch.no_grad():
        for role, tensor in tensors.items():
            getattr(module, role).copy_(tensor)
    return module

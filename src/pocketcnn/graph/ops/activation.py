"""The activations of the light-network papers, each an element-wise function of one value."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketcnn.graph.node import Node, Shape
from pocketcnn.graph.ops.base import Kind, OnnxEmitter, OnnxForm, Op, copy_into, require, require_rank, same_shape


def _elementwise(name: str, function: Callable[[Tensor], Tensor], onnx: OnnxForm) -> Op:
    return Op(
        name=name,
        shape=same_shape,
        run=lambda node, inputs, tensors, training: function(inputs[0]),
        onnx=onnx,
        inplace=True,
    )


def _onnx_op(op_type: str, **attributes: object) -> OnnxForm:
    return lambda node, emit: emit.op(op_type, emit.inputs[0], **attributes)


def _clip_onnx(node: Node, emit: OnnxEmitter, low: float | None = None, high: float | None = None) -> str:
    bounds = (node.number("min") if low is None else low, node.number("max") if high is None else high)
    return emit.op("Clip", emit.inputs[0], *(emit.constant(np.float32(bound)) for bound in bounds))


def _silu_onnx(node: Node, emit: OnnxEmitter) -> str:
    return emit.op("Mul", emit.inputs[0], emit.op("Sigmoid", emit.inputs[0]))


RELU = _elementwise("relu", F.relu, _onnx_op("Relu"))
RELU6 = _elementwise("relu6", F.relu6, partial(_clip_onnx, low=0.0, high=6.0))
HARDSWISH = _elementwise("hardswish", F.hardswish, _onnx_op("HardSwish"))
HARDSIGMOID = _elementwise("hardsigmoid", F.hardsigmoid, _onnx_op("HardSigmoid", alpha=1 / 6, beta=0.5))
SIGMOID = _elementwise("sigmoid", torch.sigmoid, _onnx_op("Sigmoid"))
SILU = _elementwise("silu", F.silu, _silu_onnx)
TANH = _elementwise("tanh", torch.tanh, _onnx_op("Tanh"))


CLIPS = frozenset({"relu", "relu6", "clip"})
"""Activations that do nothing but limit a value from below or above."""


def clip_bounds(node: Node) -> tuple[float, float]:
    """The least and the largest result of one of `CLIPS`."""
    if node.op == "clip":
        return node.number("min"), node.number("max")
    return 0.0, 6.0 if node.op == "relu6" else float("inf")


def _clip_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    require(node.number("min") <= node.number("max"), node, f"min {node.number('min')} > max {node.number('max')}")
    return inputs[0]


CLIP = Op(
    name="clip",
    attrs={"min": Kind.FLOAT, "max": Kind.FLOAT},
    shape=_clip_shape,
    run=lambda node, inputs, tensors, training: F.hardtanh(inputs[0], node.number("min"), node.number("max")),
    onnx=_clip_onnx,
    inplace=True,
)

LEAKY_RELU = Op(
    name="leaky_relu",
    attrs={"slope": Kind.FLOAT},
    shape=same_shape,
    run=lambda node, inputs, tensors, training: F.leaky_relu(inputs[0], node.number("slope")),
    onnx=lambda node, emit: emit.op("LeakyRelu", emit.inputs[0], alpha=node.number("slope")),
    inplace=True,
)

ELU = Op(
    name="elu",
    attrs={"alpha": Kind.FLOAT},
    shape=same_shape,
    run=lambda node, inputs, tensors, training: F.elu(inputs[0], node.number("alpha")),
    onnx=lambda node, emit: emit.op("Elu", emit.inputs[0], alpha=node.number("alpha")),
    inplace=True,
)


def _prelu_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    weight = tensors["weight"]
    require(weight in ((1,), inputs[0][:1]), node, f"a slope of shape {weight} does not fit {inputs[0][0]} channels")
    return inputs[0]


def _build_prelu(node: Node, tensors: Mapping[str, Tensor]) -> nn.Module:
    weight = tensors["weight"]
    return copy_into(nn.PReLU(weight.shape[0], dtype=weight.dtype, device=weight.device), tensors)


def _prelu_onnx(node: Node, emit: OnnxEmitter) -> str:
    slope = emit.array("weight")
    return emit.op("PRelu", emit.inputs[0], emit.constant(slope.reshape(-1, *(1,) * (len(node.shape) - 1))))


PRELU = Op(
    name="prelu",
    tensors=("weight",),
    shape=_prelu_shape,
    run=lambda node, inputs, tensors, training: F.prelu(inputs[0], tensors["weight"]),
    module=_build_prelu,
    onnx=_prelu_onnx,
    inplace=True,
)


def _softmax_run(node: Node, inputs: Sequence[Tensor], tensors: Mapping[str, Tensor], training: bool) -> Tensor:
    return torch.softmax(inputs[0], node.integer("axis") + 1)


def _softmax_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    require(0 <= node.integer("axis") < len(inputs[0]), node, f"no axis {node.integer('axis')} in {inputs[0]}")
    return inputs[0]


SOFTMAX = Op(
    name="softmax",
    attrs={"axis": Kind.INT},
    shape=_softmax_shape,
    run=_softmax_run,
    onnx=lambda node, emit: emit.op("Softmax", emit.inputs[0], axis=node.integer("axis") + 1),
)


def _run_dropout(node: Node, inputs: Sequence[Tensor], tensors: Mapping[str, Tensor], training: bool) -> Tensor:
    drop = F.dropout2d if node.flag("whole_channels") else F.dropout
    return drop(inputs[0], node.number("p"), training)


def _dropout_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    require(0 <= node.number("p") <= 1, node, f"p is {node.number('p')}, a probability is needed")
    if node.flag("whole_channels"):
        require_rank(node, inputs[0], 3)
    return inputs[0]


DROPOUT = Op(
    name="dropout",
    attrs={"p": Kind.FLOAT, "whole_channels": Kind.BOOL},
    shape=_dropout_shape,
    run=_run_dropout,
    onnx=lambda node, emit: emit.inputs[0],  # nothing at inference
    inplace=True,
    view=True,
)

ACTIVATION_OPS = (
    RELU, RELU6, HARDSWISH, HARDSIGMOID, SIGMOID, SILU, TANH, CLIP, LEAKY_RELU, ELU, PRELU, SOFTMAX, DROPOUT,
)  # fmt: skip

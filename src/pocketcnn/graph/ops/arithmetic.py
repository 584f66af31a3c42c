"""Arithmetic: sums, products, affine functions, constants, sums and means over axes."""

from collections.abc import Callable, Mapping, Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor

from pocketcnn.graph.node import Node, Shape
from pocketcnn.graph.ops.base import Kind, OnnxEmitter, Op, require, stored_number
from pocketcnn.graph.ops.facts import ChannelRule, Family
from pocketcnn.graph.ops.reach import same_pixel, whole_input


def broadcast(node: Node, first: Shape, second: Shape) -> Shape:
    """The broadcast shape of two values of equal rank: axes of size 1 are repeated."""
    require(len(first) == len(second), node, f"shapes {first} and {second} have different ranks")
    fits = all(a == b or 1 in (a, b) for a, b in zip(first, second, strict=True))
    require(fits, node, f"shapes {first} and {second} cannot be broadcast")
    return tuple(max(a, b) for a, b in zip(first, second, strict=True))


def _binary(name: str, function: Callable[[Tensor, Tensor], Tensor], op_type: str, label: str = "") -> Op:
    return Op(
        name=name,
        label=label,
        family=Family.ARITHMETIC,
        channels=ChannelRule.BROADCAST,
        reach=same_pixel,
        arity=2,
        shape=lambda node, inputs, tensors: broadcast(node, inputs[0], inputs[1]),
        run=lambda node, inputs, tensors, training: function(inputs[0], inputs[1]),
        onnx=lambda node, emit: emit.op(op_type, *emit.inputs),
        inplace=True,
    )


ADD = _binary("add", torch.add, "Add")
SUB = _binary("sub", torch.sub, "Sub", "subtract")
MUL = _binary("mul", torch.mul, "Mul", "multiply")
DIV = _binary("div", torch.div, "Div", "divide")


def _run_affine(node: Node, inputs: Sequence[Tensor], tensors: Mapping[str, Tensor], training: bool) -> Tensor:
    scale, offset = node.number("scale"), node.number("offset")
    scaled = inputs[0] if scale == 1 else inputs[0] * scale
    return scaled if offset == 0 else scaled + offset


def _affine(node: Node, x: np.ndarray) -> np.ndarray:
    return x * stored_number(node, "scale") + stored_number(node, "offset")


def _affine_onnx(node: Node, emit: OnnxEmitter) -> str:
    scale, offset = node.number("scale"), node.number("offset")
    value = emit.inputs[0]
    if scale != 1:
        value = emit.op("Mul", value, emit.constant(np.float32(scale)))
    if offset != 0:
        value = emit.op("Add", value, emit.constant(np.float32(offset)))
    return value


AFFINE = Op(
    name="affine",
    family=Family.ARITHMETIC,
    channels=ChannelRule.ELEMENTWISE,
    reach=same_pixel,
    function=_affine,
    attrs={"scale": Kind.FLOAT, "offset": Kind.FLOAT},
    shape=lambda node, inputs, tensors: inputs[0],
    run=_run_affine,
    onnx=_affine_onnx,
    inplace=True,
)


def _constant_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    shape = node.ints("shape")
    require(
        prod(shape) == prod(tensors["value"]), node, f"a tensor of shape {tensors['value']} cannot have shape {shape}"
    )
    return shape


CONSTANT = Op(
    name="constant",
    family=Family.CONSTANT,
    channels=ChannelRule.CONSTANT,
    reach=whole_input,
    arity=0,
    attrs={"shape": Kind.INTS},
    tensors=("value",),
    shape=_constant_shape,
    run=lambda node, inputs, tensors, training: tensors["value"].reshape(1, *node.ints("shape")),
    onnx=lambda node, emit: emit.constant(emit.array("value").reshape(1, *node.ints("shape"))),
)


def _axes_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    axes, rank = node.ints("axes"), len(inputs[0])
    fits = 0 < len(axes) == len(set(axes)) and all(0 <= axis < rank for axis in axes)
    require(fits, node, f"axes {axes} of {inputs[0]}")
    if node.flag("keepdim"):
        return tuple(1 if axis in axes else size for axis, size in enumerate(inputs[0]))
    return tuple(size for axis, size in enumerate(inputs[0]) if axis not in axes)


def _batched(axes: Sequence[int]) -> list[int]:
    return [axis + 1 for axis in axes]


def _mean_onnx(node: Node, emit: OnnxEmitter) -> str:
    if node.ints("axes") == (1, 2):
        pooled = emit.op("GlobalAveragePool", emit.inputs[0])
        return pooled if node.flag("keepdim") else emit.op("Flatten", pooled, axis=1)
    return emit.op("ReduceMean", emit.inputs[0], axes=_batched(node.ints("axes")), keepdims=int(node.flag("keepdim")))


MEAN = Op(
    name="mean",
    family=Family.POOLING,
    channels=ChannelRule.REDUCES,
    reach=whole_input,
    homogeneous=True,
    attrs={"axes": Kind.INTS, "keepdim": Kind.BOOL},
    shape=_axes_shape,
    run=lambda node, inputs, tensors, training: inputs[0].mean(_batched(node.ints("axes")), node.flag("keepdim")),
    onnx=_mean_onnx,
)

SUM = Op(
    name="sum",
    family=Family.POOLING,
    channels=ChannelRule.REDUCES,
    reach=whole_input,
    homogeneous=True,
    attrs={"axes": Kind.INTS, "keepdim": Kind.BOOL},
    shape=_axes_shape,
    run=lambda node, inputs, tensors, training: inputs[0].sum(_batched(node.ints("axes")), node.flag("keepdim")),
    onnx=lambda node, emit: emit.op(
        "ReduceSum",
        emit.inputs[0],
        emit.constant(np.array(_batched(node.ints("axes")), dtype=np.int64)),
        keepdims=int(node.flag("keepdim")),
    ),
)

ARITHMETIC_OPS = (ADD, SUB, MUL, DIV, AFFINE, CONSTANT, MEAN, SUM)

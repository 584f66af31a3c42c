"""Batch normalization (Ioffe and Szegedy, "Batch Normalization", Algorithm 1 and 2), alone or waiting to be folded."""

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from pocketcnn.graph.node import Node, Shape
from pocketcnn.graph.ops.base import Kind, OnnxEmitter, Op, copy_into, require

_ROLES = ("weight", "bias", "running_mean", "running_var")


def _shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    require(len(inputs[0]) in (1, 3), node, f"the input has shape {inputs[0]}, (C, H, W) or (C,) is needed")
    for role, shape in tensors.items():
        require(shape == inputs[0][:1], node, f"{role} has shape {shape} for {inputs[0][0]} channels")
    require(("weight" in tensors) == ("bias" in tensors), node, "weight and bias come together")
    require(node.number("eps") > 0, node, "eps must be above 0")
    return inputs[0]


def _run(node: Node, inputs: Sequence[Tensor], tensors: Mapping[str, Tensor], training: bool) -> Tensor:
    return F.batch_norm(
        inputs[0],
        tensors["running_mean"],
        tensors["running_var"],
        tensors.get("weight"),
        tensors.get("bias"),
        training,
        node.number("momentum"),
        node.number("eps"),
    )


def _build(node: Node, tensors: Mapping[str, Tensor]) -> nn.Module:
    mean = tensors["running_mean"]
    layer_class = nn.BatchNorm2d if len(node.shape) == 3 else nn.BatchNorm1d
    layer = layer_class(
        mean.shape[0],
        eps=node.number("eps"),
        momentum=node.number("momentum"),
        affine="weight" in tensors,
        dtype=mean.dtype,
        device=mean.device,
    )
    return copy_into(layer, tensors)


def _onnx(node: Node, emit: OnnxEmitter) -> str:
    mean = emit.array("running_mean")
    affine = "weight" in node.tensors
    scale, offset = emit.tensors("weight", "bias") if affine else (emit.constant(mean * 0 + 1), emit.constant(mean * 0))
    return emit.op(
        "BatchNormalization",
        emit.inputs[0],
        scale,
        offset,
        *emit.tensors("running_mean", "running_var"),
        epsilon=node.number("eps"),
    )


BATCH_NORM = Op(
    name="batch_norm",
    attrs={"eps": Kind.FLOAT, "momentum": Kind.FLOAT},
    tensors=("running_mean", "running_var"),
    optional=("weight", "bias"),
    buffers=("running_mean", "running_var"),
    shape=_shape,
    run=_run,
    module=_build,
    onnx=_onnx,
    inplace=True,
)

NORMALIZATION_OPS = (BATCH_NORM,)

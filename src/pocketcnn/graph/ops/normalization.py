"""Batch normalization (Ioffe and Szegedy, "Batch Normalization", Algorithms 1 and 2) and
local response normalization (Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks",
section 3.3), across channels."""

from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from pocketcnn.graph.node import Node, Shape
from pocketcnn.graph.ops.base import Kind, OnnxEmitter, OnnxOperator, Op, copy_into, require, require_rank
from pocketcnn.graph.ops.facts import ChannelRule, Family
from pocketcnn.graph.ops.reach import same_pixel

_ROLES = ("weight", "bias", "running_mean", "running_var")


def _shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    require(len(inputs[0]) in (1, 3), node, f"the input has shape {inputs[0]}; it must be (C, H, W) or (C,)")
    for role, shape in tensors.items():
        require(shape == inputs[0][:1], node, f"{role} has shape {shape} for {inputs[0][0]} channels")
    require(("weight" in tensors) == ("bias" in tensors), node, "it must have both weight and bias, or neither")
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


def _read(r: OnnxOperator) -> str:
    if r.attribute("training_mode", 0):
        r.fail("it is in training mode. Export the network in eval mode")
    roles = {role: r.array(index) for index, role in enumerate(("weight", "bias", "running_mean", "running_var"), 1)}
    momentum = 1 - r.attribute("momentum", 0.9)  # ONNX's is the weight of the old average, torch's of the new value
    return r.layer("batch_norm", r.value(0), roles, eps=float(r.attribute("epsilon", 1e-5)), momentum=float(momentum))


BATCH_NORM = Op(
    name="batch_norm",
    onnx_readers={"BatchNormalization": _read},
    family=Family.NORMALIZATION,
    channels=ChannelRule.PER_CHANNEL,
    reach=same_pixel,
    label="BN",
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


def _window_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    require_rank(node, inputs[0], 3)
    size = node.integer("size")
    require(size > 0 and size % 2 == 1, node, f"its window has {size} channels; it must be odd and above 0")
    for name in ("alpha", "beta", "k"):  # otherwise it may divide by zero
        require(node.number(name) > 0, node, f"{name} is {node.number(name)}; it must be above 0")
    return inputs[0]


def _run_local(node: Node, inputs: Sequence[Tensor], tensors: Mapping[str, Tensor], training: bool) -> Tensor:
    """x / (k + alpha / size · Σ of squares over `size` neighbouring channels)^beta."""
    alpha, beta, k = (node.number(name) for name in ("alpha", "beta", "k"))
    return F.local_response_norm(inputs[0], node.integer("size"), alpha, beta, k)


def _read_local(r: OnnxOperator) -> str:
    parts = {"alpha": ("alpha", 1e-4), "beta": ("beta", 0.75), "k": ("bias", 1.0)}
    numbers = {name: float(r.attribute(onnx, default)) for name, (onnx, default) in parts.items()}
    return r.add("local_response_norm", r.value(0), size=int(r.attribute("size")), **numbers)


LOCAL_RESPONSE_NORM = Op(
    name="local_response_norm",
    onnx_readers={"LRN": _read_local},
    family=Family.NORMALIZATION,
    channels=ChannelRule.READS_NEIGHBOURS,
    reach=same_pixel,
    attrs={"size": Kind.INT, "alpha": Kind.FLOAT, "beta": Kind.FLOAT, "k": Kind.FLOAT},
    shape=_window_shape,
    run=_run_local,
    onnx=lambda node, emit: emit.op(
        "LRN",
        emit.inputs[0],
        size=node.integer("size"),
        alpha=float(node.number("alpha")),
        beta=float(node.number("beta")),
        bias=float(node.number("k")),
    ),
)

NORMALIZATION_OPS = (BATCH_NORM, LOCAL_RESPONSE_NORM)

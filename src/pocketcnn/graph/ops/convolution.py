"""Convolution (standard, grouped, depthwise) and the linear layer."""

from collections.abc import Mapping, Sequence
from math import prod

import torch.nn.functional as F
from torch import Tensor, nn

from pocketcnn.graph.node import Node, Shape
from pocketcnn.graph.ops.base import Kind, OnnxEmitter, Op, copy_into, require, require_rank
from pocketcnn.graph.ops.facts import ChannelRule, Family
from pocketcnn.graph.ops.reach import sliding_reach, whole_input


def window_output(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """Output length of a sliding window along one axis: floor((size + 2·padding - dilation·(kernel - 1) - 1) / stride) + 1."""
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def _conv_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    require_rank(node, inputs[0], 3)
    channels, height, width = inputs[0]
    weight = tensors["weight"]
    require(len(weight) == 4, node, f"the weight has shape {weight}; it must be (N, C/groups, Kh, Kw)")
    groups = node.integer("groups")
    require(
        groups >= 1 and min(*node.pair("stride"), *node.pair("dilation")) >= 1,
        node,
        "stride, dilation and groups must be 1 or more",
    )
    require(min(node.pair("padding")) >= 0, node, "the padding is negative")
    require(
        weight[1] * groups == channels and weight[0] % groups == 0,
        node,
        f"a weight of shape {weight} with {groups} groups does not fit {channels} input channels",
    )
    if "bias" in tensors:
        require(
            tensors["bias"] == (weight[0],), node, f"the bias has shape {tensors['bias']}; it must be ({weight[0]},)"
        )
    out = [
        window_output(size, kernel, stride, padding, dilation)
        for size, kernel, stride, padding, dilation in zip(
            (height, width), weight[2:], node.pair("stride"), node.pair("padding"), node.pair("dilation"), strict=True
        )
    ]
    require(min(out) >= 1, node, f"the {height}x{width} input is smaller than the kernel")
    return (weight[0], out[0], out[1])


def _run_conv(node: Node, inputs: Sequence[Tensor], tensors: Mapping[str, Tensor], training: bool) -> Tensor:
    return F.conv2d(
        inputs[0],
        tensors["weight"],
        tensors.get("bias"),
        node.pair("stride"),
        node.pair("padding"),
        node.pair("dilation"),
        node.integer("groups"),
    )


def _build_conv(node: Node, tensors: Mapping[str, Tensor]) -> nn.Module:
    weight = tensors["weight"]
    groups = node.integer("groups")
    layer = nn.Conv2d(
        weight.shape[1] * groups,
        weight.shape[0],
        (weight.shape[2], weight.shape[3]),
        stride=node.pair("stride"),
        padding=node.pair("padding"),
        dilation=node.pair("dilation"),
        groups=groups,
        bias="bias" in tensors,
        dtype=weight.dtype,
        device="meta",  # skips the random initialization
    )
    return copy_into(layer.to_empty(device=weight.device), tensors)


def _conv_onnx(node: Node, emit: OnnxEmitter) -> str:
    padding = node.pair("padding")
    return emit.op(
        "Conv",
        emit.inputs[0],
        *emit.tensors("weight", "bias"),
        strides=node.pair("stride"),
        pads=(*padding, *padding),
        dilations=node.pair("dilation"),
        group=node.integer("groups"),
    )


def _conv_madds(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> int:
    """H·W·N·K²·M/G for an H x W output: each output element takes K²·M/G multiply-adds."""
    return prod(tensors["weight"]) * prod(node.shape[1:])


CONV2D = Op(
    name="conv2d",
    family=Family.CONVOLUTION,
    channels=ChannelRule.CONVOLUTION,
    reach=sliding_reach,
    homogeneous=True,
    attrs={"stride": Kind.PAIR, "padding": Kind.PAIR, "dilation": Kind.PAIR, "groups": Kind.INT},
    tensors=("weight",),
    optional=("bias",),
    shape=_conv_shape,
    run=_run_conv,
    module=_build_conv,
    onnx=_conv_onnx,
    madds=_conv_madds,
)


def _linear_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    weight = tensors["weight"]
    require(len(weight) == 2, node, f"the weight has shape {weight}; it must be (outputs, inputs)")
    require_rank(node, inputs[0], 1)
    require(inputs[0][0] == weight[1], node, f"a weight of shape {weight} does not fit {inputs[0][0]} input features")
    if "bias" in tensors:
        require(
            tensors["bias"] == (weight[0],), node, f"the bias has shape {tensors['bias']}; it must be ({weight[0]},)"
        )
    return (weight[0],)


def _run_linear(node: Node, inputs: Sequence[Tensor], tensors: Mapping[str, Tensor], training: bool) -> Tensor:
    return F.linear(inputs[0], tensors["weight"], tensors.get("bias"))


def _build_linear(node: Node, tensors: Mapping[str, Tensor]) -> nn.Module:
    weight = tensors["weight"]
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias="bias" in tensors, dtype=weight.dtype, device="meta")
    return copy_into(layer.to_empty(device=weight.device), tensors)


def _linear_onnx(node: Node, emit: OnnxEmitter) -> str:
    return emit.op("Gemm", emit.inputs[0], *emit.tensors("weight", "bias"), transB=1)


LINEAR = Op(
    name="linear",
    family=Family.LINEAR,
    channels=ChannelRule.LINEAR,
    reach=whole_input,
    homogeneous=True,
    tensors=("weight",),
    optional=("bias",),
    shape=_linear_shape,
    run=_run_linear,
    module=_build_linear,
    onnx=_linear_onnx,
    madds=lambda node, inputs, tensors: prod(tensors["weight"]),
)

CONVOLUTION_OPS = (CONV2D, LINEAR)

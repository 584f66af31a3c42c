"""Data movement: concat, slice, channel shuffle, gather, shift, roll, pad, reshape, permute."""

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pocketcnn.graph.node import Node, Shape
from pocketcnn.graph.ops.base import Kind, OnnxEmitter, Op, require, require_rank
from pocketcnn.graph.ops.facts import ChannelRule, Family
from pocketcnn.graph.ops.reach import (
    pad_reach,
    same_pixel,
    same_pixel_along_channels,
    shift_reach,
    slice_reach,
    whole_input,
)
from pocketcnn.layers.shift import shift_channels, shift_kernel


def _axis(node: Node, shape: Shape) -> int:
    axis = node.integer("axis")
    require(0 <= axis < len(shape), node, f"the shape {shape} has no axis {axis}")
    return axis


def _concat_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    axis = _axis(node, inputs[0])
    rest = {(*shape[:axis], *shape[axis + 1 :]) for shape in inputs}
    same_rank = len({len(shape) for shape in inputs}) == 1
    require(same_rank and len(rest) == 1, node, f"the shapes {list(inputs)} differ in more than axis {axis}")
    return (*inputs[0][:axis], sum(shape[axis] for shape in inputs), *inputs[0][axis + 1 :])


CONCAT = Op(
    name="concat",
    family=Family.MOVEMENT,
    channels=ChannelRule.CONCATENATES,
    reach=same_pixel_along_channels,
    homogeneous=True,
    data_movement=True,
    arity=None,
    attrs={"axis": Kind.INT},
    shape=_concat_shape,
    run=lambda node, inputs, tensors, training: torch.cat(list(inputs), node.integer("axis") + 1),
    onnx=lambda node, emit: emit.op("Concat", *emit.inputs, axis=node.integer("axis") + 1),
)


def _slice_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    axis = _axis(node, inputs[0])
    start, stop, step = (node.integer(name) for name in ("start", "stop", "step"))
    require(
        0 <= start < stop <= inputs[0][axis] and step >= 1,
        node,
        f"the slice {start}:{stop}:{step} is invalid for axis {axis} of shape {inputs[0]}",
    )
    return (*inputs[0][:axis], len(range(start, stop, step)), *inputs[0][axis + 1 :])


def _slice_run(node: Node, inputs: Sequence[Tensor], tensors: Mapping[str, Tensor], training: bool) -> Tensor:
    index = [slice(None)] * inputs[0].ndim
    index[node.integer("axis") + 1] = slice(node.integer("start"), node.integer("stop"), node.integer("step"))
    return inputs[0][tuple(index)]


def _slice_onnx(node: Node, emit: OnnxEmitter) -> str:
    bounds = [node.integer("start"), node.integer("stop"), node.integer("axis") + 1, node.integer("step")]
    return emit.op("Slice", emit.inputs[0], *(emit.constant(np.array([bound], dtype=np.int64)) for bound in bounds))


SLICE = Op(
    name="slice",
    family=Family.MOVEMENT,
    channels=ChannelRule.SLICES,
    reach=slice_reach,
    homogeneous=True,
    data_movement=True,
    attrs={"axis": Kind.INT, "start": Kind.INT, "stop": Kind.INT, "step": Kind.INT},
    shape=_slice_shape,
    run=_slice_run,
    onnx=_slice_onnx,
)


def _shuffle_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    require_rank(node, inputs[0], 3)
    groups = node.integer("groups")
    require(
        groups >= 1 and inputs[0][0] % groups == 0,
        node,
        f"{inputs[0][0]} channels cannot be shuffled in {groups} groups",
    )
    return inputs[0]


def shuffle_order(channels: int, groups: int) -> list[int]:
    """For each output channel of a channel shuffle, its input channel: (G, C/G) transposed (ShuffleNet paper, Figure 1)."""
    per_group = channels // groups
    return [group * per_group + place for place in range(per_group) for group in range(groups)]


def _shuffle_onnx(node: Node, emit: OnnxEmitter) -> str:
    channels, height, width = node.shape
    groups = node.integer("groups")
    split = emit.constant(np.array([0, groups, channels // groups, height * width], dtype=np.int64))
    joined = emit.constant(np.array([0, channels, height, width], dtype=np.int64))
    swapped = emit.op("Transpose", emit.op("Reshape", emit.inputs[0], split), perm=[0, 2, 1, 3])
    return emit.op("Reshape", swapped, joined)


CHANNEL_SHUFFLE = Op(
    name="channel_shuffle",
    family=Family.MOVEMENT,
    channels=ChannelRule.SHUFFLES,
    reach=same_pixel,
    homogeneous=True,
    data_movement=True,
    attrs={"groups": Kind.INT},
    shape=_shuffle_shape,
    run=lambda node, inputs, tensors, training: F.channel_shuffle(inputs[0], node.integer("groups")),
    onnx=_shuffle_onnx,
)


def _gather_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    require(len(tensors["index"]) == 1, node, "the channel index must have one axis")
    return (tensors["index"][0], *inputs[0][1:])


GATHER = Op(
    name="gather",
    family=Family.MOVEMENT,
    channels=ChannelRule.GATHERS,
    reach=same_pixel,
    homogeneous=True,
    data_movement=True,
    label="channel index",
    tensors=("index",),
    buffers=("index",),
    shape=_gather_shape,
    run=lambda node, inputs, tensors, training: inputs[0].index_select(1, tensors["index"]),
    onnx=lambda node, emit: emit.op("Gather", emit.inputs[0], emit.constant(emit.array("index")), axis=1),
)


def _shift_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    require_rank(node, inputs[0], 3)
    for name in ("down", "right"):
        offsets = node.ints(name)
        require(len(offsets) == inputs[0][0], node, f"{len(offsets)} offsets for {inputs[0][0]} channels")
        require(all(abs(offset) <= 64 for offset in offsets), node, "a shift of more than 64 pixels")
    return inputs[0]


def _shift_onnx(node: Node, emit: OnnxEmitter) -> str:
    """ONNX has no shift; it becomes a depthwise convolution whose kernels contain a single 1."""
    kernel = shift_kernel(node.ints("down"), node.ints("right")).numpy()
    pads = (kernel.shape[2] // 2, kernel.shape[3] // 2)
    return emit.op("Conv", emit.inputs[0], emit.integer_weight(kernel), group=node.shape[0], pads=(*pads, *pads))


SHIFT = Op(
    name="shift",
    family=Family.MOVEMENT,
    channels=ChannelRule.WITHIN_CHANNEL,
    reach=shift_reach,
    homogeneous=True,
    data_movement=True,
    attrs={"down": Kind.INTS, "right": Kind.INTS},
    shape=_shift_shape,
    run=lambda node, inputs, tensors, training: shift_channels(inputs[0], node.ints("down"), node.ints("right")),
    onnx=_shift_onnx,
)


def _roll_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    shifts, axes = node.ints("shifts"), node.ints("axes")
    fits = len(shifts) == len(axes) and all(0 <= axis < len(inputs[0]) for axis in axes)
    require(fits, node, f"the shifts {shifts} along axes {axes} are invalid for the shape {inputs[0]}")
    return inputs[0]


def _roll_run(node: Node, inputs: Sequence[Tensor], tensors: Mapping[str, Tensor], training: bool) -> Tensor:
    return torch.roll(inputs[0], node.ints("shifts"), [axis + 1 for axis in node.ints("axes")])


def _roll_onnx(node: Node, emit: OnnxEmitter) -> str:
    value = emit.inputs[0]
    for shift, axis in zip(node.ints("shifts"), node.ints("axes"), strict=True):
        size = node.shape[axis]
        cut = -shift % size
        if cut:
            order = np.roll(np.arange(size, dtype=np.int64), -cut)
            value = emit.op("Gather", value, emit.constant(order), axis=axis + 1)
    return value


ROLL = Op(
    name="roll",
    family=Family.MOVEMENT,
    channels=ChannelRule.ROLLS,
    reach=whole_input,
    homogeneous=True,
    data_movement=True,
    attrs={"shifts": Kind.INTS, "axes": Kind.INTS},
    shape=_roll_shape,
    run=_roll_run,
    onnx=_roll_onnx,
)


def _pad_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    require_rank(node, inputs[0], 3)
    channels, height, width = inputs[0]
    left, right, top, bottom = node.ints("pads")
    cropped = (height + min(top, 0) + min(bottom, 0), width + min(left, 0) + min(right, 0))  # negative pads crop first
    require(min(cropped) >= 1, node, f"the pads {node.ints('pads')} crop a value of shape {inputs[0]} to nothing")
    return (channels, height + top + bottom, width + left + right)


def _pad_onnx(node: Node, emit: OnnxEmitter) -> str:
    left, right, top, bottom = node.ints("pads")
    pads = emit.constant(np.array([0, 0, top, left, 0, 0, bottom, right], dtype=np.int64))
    return emit.op("Pad", emit.inputs[0], pads, emit.number(node.number("value")))


PAD = Op(
    name="pad",
    family=Family.RESHAPING,
    channels=ChannelRule.WITHIN_CHANNEL,
    reach=pad_reach,
    data_movement=True,
    attrs={"pads": Kind.QUAD, "value": Kind.FLOAT},
    shape=_pad_shape,
    run=lambda node, inputs, tensors, training: F.pad(inputs[0], node.ints("pads"), "constant", node.number("value")),
    onnx=_pad_onnx,
)


def _reshape_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    shape = node.ints("shape")
    fits = all(size >= 1 for size in shape) and prod(shape) == prod(inputs[0])
    require(fits, node, f"a value of shape {inputs[0]} cannot be reshaped to {shape}")
    return shape


def _reshape_onnx(node: Node, emit: OnnxEmitter) -> str:
    if len(node.shape) == 1:
        return emit.op("Flatten", emit.inputs[0], axis=1)
    return emit.op("Reshape", emit.inputs[0], emit.constant(np.array([0, *node.shape], dtype=np.int64)))


RESHAPE = Op(
    name="reshape",
    family=Family.RESHAPING,
    channels=ChannelRule.RESHAPES,
    reach=whole_input,
    homogeneous=True,
    data_movement=True,
    attrs={"shape": Kind.INTS},
    shape=_reshape_shape,
    run=lambda node, inputs, tensors, training: inputs[0].reshape(inputs[0].shape[0], *node.ints("shape")),
    onnx=_reshape_onnx,
    inplace=True,
    view=True,
)


def _permute_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    order = node.ints("order")
    require(
        sorted(order) == list(range(len(inputs[0]))), node, f"{order} is not a permutation of the axes of {inputs[0]}"
    )
    return tuple(inputs[0][axis] for axis in order)


def _with_batch(order: Sequence[int]) -> list[int]:
    return [0, *(axis + 1 for axis in order)]


PERMUTE = Op(
    name="permute",
    family=Family.MOVEMENT,
    channels=ChannelRule.PERMUTES,
    reach=whole_input,
    homogeneous=True,
    data_movement=True,
    attrs={"order": Kind.INTS},
    shape=_permute_shape,
    run=lambda node, inputs, tensors, training: inputs[0].permute(_with_batch(node.ints("order"))),
    onnx=lambda node, emit: emit.op("Transpose", emit.inputs[0], perm=_with_batch(node.ints("order"))),
)

LAYOUT_OPS = (CONCAT, SLICE, CHANNEL_SHUFFLE, GATHER, SHIFT, ROLL, PAD, RESHAPE, PERMUTE)

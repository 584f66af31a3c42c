"""Operations rewritten to operators that ExecuTorch's XNNPACK backend delegates."""

from collections.abc import Callable, Mapping, Sequence
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketcnn.graph.node import Node

OperatorEmitter = Callable[[Node, Sequence[Tensor], Mapping[str, Tensor]], Tensor]


def _mean(node: Node, inputs: Sequence[Tensor], tensors: Mapping[str, Tensor]) -> Tensor:
    """XNNPACK supports a mean over H and W only with keepdim."""
    mean = inputs[0].mean([axis + 1 for axis in node.ints("axes")], keepdim=True)
    return mean if node.flag("keepdim") else mean.reshape(1, *node.shape)


def _channel_shuffle(node: Node, inputs: Sequence[Tensor], tensors: Mapping[str, Tensor]) -> Tensor:
    channels, height, width = node.shape
    groups = node.integer("groups")
    split = inputs[0].reshape(groups, channels // groups, height, width)
    return split.permute(1, 0, 2, 3).reshape(1, channels, height, width)


def _local_response_norm(node: Node, inputs: Sequence[Tensor], tensors: Mapping[str, Tensor]) -> Tensor:
    """The mean over neighbouring channels as a 2D pooling of an image C x HW; PyTorch's implementation uses a 3D pooling."""
    size, alpha, beta, k = node.integer("size"), node.number("alpha"), node.number("beta"), node.number("k")
    channels, *pixels = node.shape
    squares = (inputs[0] * inputs[0]).reshape(1, 1, channels, prod(pixels))
    means = F.avg_pool2d(F.pad(squares, (0, 0, size // 2, (size - 1) // 2)), (size, 1), 1)
    return inputs[0] / (means.reshape(1, *node.shape) * alpha + k).pow(beta)


def _shift(node: Node, inputs: Sequence[Tensor], tensors: Mapping[str, Tensor]) -> Tensor:
    """A depthwise convolution whose kernels contain a single 1."""
    kernel = tensors["weight"]
    return F.conv2d(inputs[0], kernel, padding=(kernel.shape[2] // 2, kernel.shape[3] // 2), groups=len(kernel))


def _pad(node: Node, inputs: Sequence[Tensor], tensors: Mapping[str, Tensor]) -> Tensor:
    """Negative pads become slices before the padding, because XNNPACK supports only positive pads."""
    value, (_, _, height, width) = inputs[0], inputs[0].shape
    left, right, top, bottom = node.ints("pads")
    if min(node.ints("pads")) < 0:
        rows = slice(max(0, -top), height + min(0, bottom))
        value = value[:, :, rows, max(0, -left) : width + min(0, right)]
    return F.pad(value, [max(0, pad) for pad in (left, right, top, bottom)], "constant", node.number("value"))


def _prelu(node: Node, inputs: Sequence[Tensor], tensors: Mapping[str, Tensor]) -> Tensor:
    """XNNPACK's PReLU supports only feature maps."""
    if len(node.shape) == 3:
        return F.prelu(inputs[0], tensors["weight"])
    positive = F.relu(inputs[0])
    return positive + tensors["weight"].reshape(-1, *(1,) * (len(node.shape) - 1)) * (inputs[0] - positive)


def _roll(node: Node, inputs: Sequence[Tensor], tensors: Mapping[str, Tensor]) -> Tensor:
    """Two slices, concatenated in the opposite order."""
    value = inputs[0]
    for shift, axis in zip(node.ints("shifts"), node.ints("axes"), strict=True):
        size = node.shape[axis]
        if cut := -shift % size:
            value = torch.cat([value.narrow(axis + 1, cut, size - cut), value.narrow(axis + 1, 0, cut)], axis + 1)
    return value


def _softplus(x: Tensor) -> Tensor:
    """max(x, 0) + log(1 + exp(-|x|)), which cannot overflow; XNNPACK has no softplus."""
    return F.relu(x) + torch.log(torch.exp(-x.abs()) + 1)


EMITTERS: Mapping[str, OperatorEmitter] = {
    "mean": _mean,
    "channel_shuffle": _channel_shuffle,
    "pad": _pad,
    "prelu": _prelu,
    "roll": _roll,
    "shift": _shift,
    "local_response_norm": _local_response_norm,
    "relu6": lambda node, inputs, tensors: F.hardtanh(inputs[0], 0.0, 6.0),
    "hardsigmoid": lambda node, inputs, tensors: F.hardtanh(inputs[0] * (1 / 6) + 0.5, 0.0, 1.0),
    "silu": lambda node, inputs, tensors: inputs[0] * torch.sigmoid(inputs[0]),
    "softplus": lambda node, inputs, tensors: _softplus(inputs[0]),
    "mish": lambda node, inputs, tensors: inputs[0] * torch.tanh(_softplus(inputs[0])),
}

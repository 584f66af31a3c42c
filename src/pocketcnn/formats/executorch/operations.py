"""Operations in other forms than the graph runs them in: those that ExecuTorch's XNNPACK backend takes whole."""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketcnn.graph.node import Node

Form = Callable[[Node, Sequence[Tensor], Mapping[str, Tensor]], Tensor]


def _mean(node: Node, inputs: Sequence[Tensor], tensors: Mapping[str, Tensor]) -> Tensor:
    """XNNPACK takes the mean over height and width that keeps its axes."""
    mean = inputs[0].mean([axis + 1 for axis in node.ints("axes")], keepdim=True)
    return mean if node.flag("keepdim") else mean.reshape(1, *node.shape)


def _channel_shuffle(node: Node, inputs: Sequence[Tensor], tensors: Mapping[str, Tensor]) -> Tensor:
    channels, height, width = node.shape
    groups = node.integer("groups")
    split = inputs[0].reshape(groups, channels // groups, height, width)
    return split.permute(1, 0, 2, 3).reshape(1, channels, height, width)


FORMS: Mapping[str, Form] = {
    "mean": _mean,
    "channel_shuffle": _channel_shuffle,
    "relu6": lambda node, inputs, tensors: F.hardtanh(inputs[0], 0.0, 6.0),
    "hardsigmoid": lambda node, inputs, tensors: F.hardtanh(inputs[0] * (1 / 6) + 0.5, 0.0, 1.0),
    "silu": lambda node, inputs, tensors: inputs[0] * torch.sigmoid(inputs[0]),
}

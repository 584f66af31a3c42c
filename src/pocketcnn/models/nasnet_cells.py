"""The cells of NASNet-A as tables (Figure 4 of the paper), and a cell built from any such table."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn

from pocketcnn.layers import (
    ActConvNorm,
    AvgPoolSame,
    DropPath,
    FactorizedReduction,
    MaxPoolSame,
    Padding,
    TwiceSeparable,
    batch_norm,
    conv2d,
)

NORM = batch_norm(eps=1e-3, decay=0.9997)
Operation = Literal[
    "identity",
    "sep3",
    "sep5",
    "sep7",
    "avg3",
    "max3",
    "max5",
    "max7",
    "conv1",
    "conv3",
    "conv1x3_3x1",
    "conv1x7_7x1",
    "dil3",
]
"""The operations of the paper's search space (section 3.1); NASNet-A does with the separable convolutions and pools of 3."""

CONVOLUTIONS: Mapping[str, tuple[tuple[tuple[int, int], ...], int]] = MappingProxyType(
    {
        "conv1": (((1, 1),), 1),
        "conv3": (((3, 3),), 1),
        "conv1x3_3x1": (((1, 3), (3, 1)), 1),
        "conv1x7_7x1": (((1, 7), (7, 1)), 1),
        "dil3": (((3, 3),), 2),
    }
)
"""Kernels and dilation of the standard convolutions."""


@dataclass(frozen=True, slots=True)
class Block:
    """The sum of two operations, or (`concat`) a 1 × 1 convolution of both.

    Input 0 is the present map, 1 the one before it, 2 and on the results of earlier blocks.
    """

    left: Operation
    left_input: int
    right: Operation
    right_input: int
    concat: bool = False


@dataclass(frozen=True, slots=True)
class CellPlan:
    """Blocks (five in the paper), and which maps the cell's output is made of."""

    blocks: tuple[Block, ...]
    outputs: tuple[int, ...]
    stride: int = 1
    """Of operations on inputs 0 and 1."""


NORMAL = CellPlan(
    blocks=(
        Block("sep5", 0, "sep3", 1),  # -> 2
        Block("sep5", 1, "sep3", 1),  # -> 3
        Block("avg3", 0, "identity", 1),  # -> 4
        Block("avg3", 1, "avg3", 1),  # -> 5
        Block("sep3", 0, "identity", 0),  # -> 6
    ),
    outputs=(1, 2, 3, 4, 5, 6),
)
REDUCTION = CellPlan(
    blocks=(
        Block("sep5", 0, "sep7", 1),  # -> 2
        Block("max3", 0, "sep7", 1),  # -> 3
        Block("avg3", 0, "sep5", 1),  # -> 4
        Block("identity", 3, "avg3", 2),  # -> 5
        Block("sep3", 2, "max3", 0),  # -> 6
    ),
    outputs=(3, 4, 5, 6),
    stride=2,
)


@dataclass(frozen=True, slots=True)
class Style:
    """What all cells of one network have in common."""

    padding: Padding = "symmetric"
    count_padding: bool = False
    """Whether average pooling with 'SAME' padding counts what it adds; timm's does."""

    def operation(self, name: Operation, in_channels: int, filters: int, stride: int) -> nn.Module:
        if name == "identity":
            return _identity(in_channels, filters, stride)
        if name in CONVOLUTIONS:
            kernels, dilation = CONVOLUTIONS[name]
            return ActConvNorm(in_channels, filters, *kernels, stride=stride, dilation=dilation, norm=NORM)
        kernel = int(name[-1])
        if name.startswith("sep"):
            return TwiceSeparable(in_channels, filters, kernel, stride=stride, norm=NORM, padding=self.padding)
        if self.padding == "same" and stride > 1:
            same_avg = AvgPoolSame(kernel, stride, count_padding=self.count_padding)
            return MaxPoolSame(kernel, stride) if name.startswith("max") else same_avg
        if name.startswith("max"):
            return nn.MaxPool2d(kernel, stride, padding=kernel // 2)
        return nn.AvgPool2d(kernel, stride, padding=kernel // 2, count_include_pad=False)


@dataclass(frozen=True, slots=True)
class Map:
    """What a cell reads: channels, and how often the image was halved."""

    channels: int
    halvings: int


class Cell(nn.Module):
    """(present map, the one before) -> a new map of `filters` channels for each of the plan's outputs."""

    def __init__(
        self, plan: CellPlan, present: Map, before: Map | None, filters: int, style: Style, drop_path: float
    ) -> None:
        super().__init__()
        self.plan = plan
        widths = [filters, filters if before else present.channels, *[filters] * len(plan.blocks)]
        shrinks = before is not None and before.halvings != present.halvings
        if shrinks:  # in the order in which timm defines its layers: by that order weights are matched
            self.present = _act_conv_norm(present.channels, filters)
        self.before = _adjusted(present, before, filters)
        if not shrinks:
            self.present = _act_conv_norm(present.channels, filters)
        for number, block in enumerate(plan.blocks):
            for side, name, source in (
                ("left", block.left, block.left_input),
                ("right", block.right, block.right_input),
            ):
                stride = plan.stride if source < 2 else 1
                operation = style.operation(name, widths[source], filters, stride)
                if drop_path and name != "identity":
                    operation = nn.Sequential(OrderedDict(operation=operation, drop=DropPath(drop_path)))
                self.add_module(f"{side}{number}", operation)
            if block.concat:
                self.add_module(f"join{number}", _act_conv_norm(2 * filters, filters))

    def forward(self, present: Tensor, before: Tensor) -> Tensor:
        maps = [self.present(present), self.before(before)]
        for number, block in enumerate(self.plan.blocks):
            left = self.get_submodule(f"left{number}")(maps[block.left_input])
            right = self.get_submodule(f"right{number}")(maps[block.right_input])
            if block.concat:
                maps.append(self.get_submodule(f"join{number}")(torch.cat((left, right), dim=1)))
            else:
                maps.append(left + right)
        return torch.cat([maps[output] for output in self.plan.outputs], dim=1)


def _identity(in_channels: int, filters: int, stride: int) -> nn.Module:
    """What leaves a map as it is, where nothing else is asked for; in a reduction cell it is a strided 1 × 1 convolution."""
    if stride == 1 and in_channels == filters:
        return nn.Identity()
    return ActConvNorm(in_channels, filters, (1, 1), stride=stride, norm=NORM)


def _adjusted(present: Map, before: Map | None, filters: int) -> nn.Module:
    """What gives the earlier map the size and width of this cell; before the first cell there is none to adjust."""
    if before is None:
        return nn.Identity()
    if before.halvings != present.halvings:
        return FactorizedReduction(before.channels, filters, norm=NORM)
    return nn.Identity() if before.channels == filters else _act_conv_norm(before.channels, filters)


def _act_conv_norm(in_channels: int, filters: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(act=nn.ReLU(), conv=conv2d(in_channels, filters, 1), norm=NORM(filters)))

"""The modules of ShiftNet and ShiftResNet: two pointwise convolutions with a shift between them."""

from collections import OrderedDict
from typing import Literal

import torch
from torch import nn

from .conv_norm_act import ConvNormAct
from .trained_shift import shift_of

Join = Literal["add", "concat", "replace"]
"""How the input of a module is combined with its output: added, concatenated, or not at all."""


class ConvShiftConv(nn.Module):
    """Norm, ReLU, pointwise convolution, shift, norm, ReLU, pointwise convolution: the paper's CSC module.

    (N, in_channels, H, W) -> (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉). The first convolution makes `expansion` times
    as many channels as the second one, which has the stride. With `join` "concat" the second one makes what
    out_channels lacks, and the input, average-pooled 3 × 3 where stride is 2, is put behind it.

    MAdds for maps of H × W before and H' × W' after, N' new channels, E = expansion · N': H·W·M·E + H'·W'·E·N'. The shift
    itself costs nothing.

    Paper: "Shift: A Zero FLOP, Zero Parameter Alternative to Spatial Convolutions", section 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        expansion: int,
        kernel: int = 3,
        dilation: int = 1,
        stride: int = 1,
        join: Join = "add",
        trained_shift: bool = False,
    ) -> None:
        super().__init__()
        if join == "add" and (in_channels != out_channels or stride != 1):
            raise ValueError(f"{in_channels} channels at stride {stride} cannot be added to {out_channels}.")
        new = out_channels - in_channels if join == "concat" else out_channels
        expanded = expansion * new
        self.join = join
        self.branch = nn.Sequential(
            OrderedDict(
                norm1=nn.BatchNorm2d(in_channels),
                act1=nn.ReLU(),
                expand=nn.Conv2d(in_channels, expanded, 1, bias=False),
                shift=shift_of(expanded, kernel, dilation, trained=trained_shift),
                norm2=nn.BatchNorm2d(expanded),
                act2=nn.ReLU(),
                project=nn.Conv2d(expanded, new, 1, stride, bias=False),
            )
        )
        self.pool = nn.AvgPool2d(3, stride=2, padding=1) if stride == 2 and join == "concat" else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.branch(x)
        if self.join == "add":
            return x + y
        return torch.cat((y, self.pool(x)), dim=1) if self.join == "concat" else y


class ShiftResidualUnit(nn.Module):
    """relu(branch(x) + shortcut(x)), the branch a pointwise convolution, norm, ReLU, shift, pointwise convolution, norm.

    (N, in_channels, H, W) -> (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉). The shortcut is a strided pointwise convolution
    where the shape changes. The branch has `expansion` · out_channels channels between; its second convolution has the
    stride.

    MAdds with E = expansion · N, H × W before, H' × W' after: H·W·M·E + H'·W'·E·N, and H'·W'·M·N for a projecting shortcut.
    From the authors' code for CIFAR (alvinwan/shiftresnet-cifar, models/shiftresnet.py).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        expansion: int,
        stride: int = 1,
        project: bool = False,
        trained_shift: bool = False,
    ) -> None:
        super().__init__()
        expanded = expansion * out_channels
        self.branch = nn.Sequential(
            OrderedDict(
                expand=ConvNormAct(in_channels, expanded, 1),
                shift=shift_of(expanded, 3, trained=trained_shift),
                project=ConvNormAct(expanded, out_channels, 1, stride=stride, activation=None),
            )
        )
        self.shortcut = (
            ConvNormAct(in_channels, out_channels, 1, stride=stride, activation=None) if project else nn.Identity()
        )
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.act(self.branch(x) + self.shortcut(x))
        return y

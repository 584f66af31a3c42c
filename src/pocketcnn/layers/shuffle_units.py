"""The units of ShuffleNetV1 and V2: grouped or split channels that a channel shuffle mixes again.

A channel shuffle of G groups reads the channels as a matrix (G, C / G) and writes it transposed: output channel
j · G + g is input channel g · (C / G) + j, so every group of the next layer sees all groups of this one. It costs no
multiply-adds. ("ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices", Figure 1.)
"""

from collections import OrderedDict

import torch
from torch import nn

from .conv_norm_act import ConvNormAct


class ShuffleV2Unit(nn.Module):
    """Half of the channels pass by, the other half is filtered; both are joined and shuffled.

    (N, in_channels, H, W) -> (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉). With `split` the shape stays: the channels
    are split in two halves, and one of them is left as it is (Figure 3c of the paper). Without, both branches take all
    channels and each makes half of the output (Figure 3d), as where a stage begins.

    MAdds, for maps of H × W before and H' × W' after, c = out_channels / 2, K = 3:
    split 2·H·W·c² + H·W·K²·c; whole H·W·M·c + H'·W'·(K²·c + c² + K²·M + M·c).

    Paper: "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", section 3.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1, split: bool = True) -> None:
        super().__init__()
        half = out_channels // 2
        if out_channels % 2 or (split and (in_channels != out_channels or stride != 1)):
            raise ValueError(
                f"{in_channels} channels cannot become {out_channels} with split={split}, stride {stride}."
            )
        self.split = split
        if not split:
            self.shortcut = nn.Sequential(
                OrderedDict(
                    depthwise=ConvNormAct(
                        in_channels, in_channels, 3, stride=stride, groups=in_channels, activation=None
                    ),
                    pointwise=ConvNormAct(in_channels, half, 1),
                )
            )
        self.branch = nn.Sequential(
            OrderedDict(
                reduce=ConvNormAct(half if split else in_channels, half, 1),
                depthwise=ConvNormAct(half, half, 3, stride=stride, groups=half, activation=None),
                expand=ConvNormAct(half, half, 1),
            )
        )
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept, filtered = torch.chunk(x, 2, dim=1) if self.split else (self.shortcut(x), x)
        shuffled: torch.Tensor = self.shuffle(torch.cat((kept, self.branch(filtered)), dim=1))
        return shuffled

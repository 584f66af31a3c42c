"""The units of ShuffleNetV1 and V2: grouped or split channels that a channel shuffle mixes again.

A channel shuffle of G groups reads the channels as a matrix (G, C / G) and writes it transposed: output channel
j · G + g is input channel g · (C / G) + j, so every group of the next layer sees all groups of this one. It costs no
multiply-adds. ("ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices", Figure 1.)
"""

from collections import OrderedDict

import torch
from torch import nn

from .conv_norm_act import ConvNormAct


class ShuffleV1Unit(nn.Module):
    """A bottleneck of grouped pointwise convolutions, with a channel shuffle between them, added to or beside its input.

    (N, in_channels, H, W) -> (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉). Between them there are out_channels / 4
    channels. Without `concat` the input is added (Figure 2b of the paper). With it the input, average-pooled 3 × 3
    where stride is 2, is put in front of out_channels - in_channels new channels (Figure 2c), as where a stage begins.
    `reduce_groups` are the groups of the first convolution: 1 where the input is too narrow to be divided.

    MAdds, for maps of H × W before and H' × W' after, B = out_channels / 4, N' new channels, G' = reduce_groups, K = 3:
    H·W·M·B / G' + H'·W'·(K²·B + B·N' / G).

    Paper: "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices", section 3.2.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        groups: int,
        stride: int = 1,
        concat: bool = False,
        reduce_groups: int | None = None,
    ) -> None:
        super().__init__()
        if not concat and (in_channels != out_channels or stride != 1):
            raise ValueError(f"{in_channels} channels at stride {stride} cannot be added to {out_channels}.")
        middle = out_channels // 4
        new = out_channels - in_channels if concat else out_channels
        self.concat = concat
        self.reduce = ConvNormAct(in_channels, middle, 1, groups=reduce_groups or groups)
        self.shuffle = nn.ChannelShuffle(groups)
        self.depthwise = ConvNormAct(middle, middle, 3, stride=stride, groups=middle, activation=None)
        self.expand = ConvNormAct(middle, new, 1, groups=groups, activation=None)
        self.act = nn.ReLU()
        self.shortcut = nn.AvgPool2d(3, stride=2, padding=1) if stride == 2 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.expand(self.depthwise(self.shuffle(self.reduce(x))))
        joined: torch.Tensor = torch.cat((self.shortcut(x), self.act(y)), dim=1) if self.concat else self.act(x + y)
        return joined


class ShuffleV2Unit(nn.Module):
    """Half of the channels pass by, the other half is filtered; both are joined and shuffled.

    (N, in_channels, H, W) -> (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉). With `split` the shape stays: the channels
    are split in two halves, and one of them is left as it is (Figure 3c of the paper). Without, both branches take all
    channels and each makes half of the output (Figure 3d), as where a stage begins. `xception` filters by three depthwise
    separable convolutions (the fourth choice block of Guo et al.) instead of one between two pointwise ones.

    MAdds, for maps of H × W before and H' × W' after, c = out_channels / 2, kernel K (3 in the paper):
    split 2·H·W·c² + H·W·K²·c; whole H·W·M·c + H'·W'·(K²·c + c² + K²·M + M·c);
    xception 3·H·W·(K²·c + c²) split, H'·W'·(K²·M + M·c + 2·K²·c + 2·c² + K²·M + M·c) whole.

    Papers: "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", section 3; "Single Path One-Shot Neural
    Architecture Search with Uniform Sampling", section 4 and Figure 2 of its supplement.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        split: bool = True,
        kernel: int = 3,
        xception: bool = False,
    ) -> None:
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
                        in_channels, in_channels, kernel, stride=stride, groups=in_channels, activation=None
                    ),
                    pointwise=ConvNormAct(in_channels, half, 1),
                )
            )
        branch = _three_separable if xception else _pointwise_depthwise_pointwise
        self.branch = branch(half if split else in_channels, half, kernel, stride)
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        passed, filtered = torch.chunk(x, 2, dim=1) if self.split else (self.shortcut(x), x)
        shuffled: torch.Tensor = self.shuffle(torch.cat((passed, self.branch(filtered)), dim=1))
        return shuffled


def _pointwise_depthwise_pointwise(in_channels: int, out_channels: int, kernel: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        OrderedDict(
            reduce=ConvNormAct(in_channels, out_channels, 1),
            depthwise=ConvNormAct(
                out_channels, out_channels, kernel, stride=stride, groups=out_channels, activation=None
            ),
            expand=ConvNormAct(out_channels, out_channels, 1),
        )
    )


def _three_separable(in_channels: int, out_channels: int, kernel: int, stride: int) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels = in_channels
    for number in range(1, 4):
        first = stride if number == 1 else 1
        layers[f"depthwise{number}"] = ConvNormAct(
            channels, channels, kernel, stride=first, groups=channels, activation=None
        )
        layers[f"pointwise{number}"] = ConvNormAct(channels, out_channels, 1)
        channels = out_channels
    return nn.Sequential(layers)

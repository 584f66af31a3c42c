"""The dense layer of CondenseNet: its output is concatenated with its input."""

from collections import OrderedDict

import torch
from torch import nn

from .learned_group import CondensedGroupLayer, LearnedGroupLayer, every_nth


class DenseLayer(nn.Module):
    """Bottleneck to 4 · `growth` channels by a learned group convolution, then a grouped 3 × 3 one to `growth` channels.

    (N, in_channels, H, W) -> (N, in_channels + growth, H, W). With `learn_groups` the bottleneck is in its training form;
    without, in the form for inference, where group g reads every C-th channel until learned channels are loaded.

    MAdds in G groups condensed C times: H·W·(M·4·growth / C + 9·4·growth² / G).
    Paper: "CondenseNet: An Efficient DenseNet using Learned Group Convolutions", Figure 1.
    """

    def __init__(self, in_channels: int, growth: int, *, groups: int, condense_factor: int, learn_groups: bool) -> None:
        super().__init__()
        middle = 4 * growth
        self.bottleneck: LearnedGroupLayer | CondensedGroupLayer
        if learn_groups:
            self.bottleneck = LearnedGroupLayer(in_channels, middle, groups=groups, condense_factor=condense_factor)
        else:
            index = every_nth(in_channels, groups, condense_factor)
            self.bottleneck = CondensedGroupLayer(index, middle, groups=groups)
        conv = nn.Conv2d(middle, growth, 3, padding=1, groups=groups, bias=False)
        self.spatial = nn.Sequential(OrderedDict(norm=nn.BatchNorm2d(middle), act=nn.ReLU(), conv=conv))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat((x, self.spatial(self.bottleneck(x))), dim=1)

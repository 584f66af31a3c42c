"""The two residual units of ResNet."""

from collections import OrderedDict

import torch
from torch import nn

from .conv_norm_act import ConvNormAct


class ResidualUnit(nn.Module):
    """relu(branch(x) + shortcut(x)); the shortcut is a strided 1 × 1 convolution where the shape changes (option B).

    (N, in_channels, H, W) -> (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉).
    Paper: "Deep Residual Learning for Image Recognition", section 3.3.
    """

    def __init__(
        self, branch: nn.Sequential, in_channels: int, out_channels: int, *, stride: int, project: bool
    ) -> None:
        super().__init__()
        if not project and (in_channels != out_channels or stride != 1):
            raise ValueError(f"{in_channels} channels at stride {stride} cannot be added to {out_channels}.")
        self.branch = branch
        self.shortcut = (
            ConvNormAct(in_channels, out_channels, 1, stride=stride, activation=None) if project else nn.Identity()
        )
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.act(self.branch(x) + self.shortcut(x))
        return y


class BasicUnit(ResidualUnit):
    """Two 3 × 3 convolutions (Figure 5, left).

    MAdds for an output map of H' × W': H'·W'·(9·M·N + 9·N²), and H'·W'·M·N for a projecting shortcut.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1, project: bool = False) -> None:
        branch = nn.Sequential(
            OrderedDict(
                conv1=ConvNormAct(in_channels, out_channels, 3, stride=stride),
                conv2=ConvNormAct(out_channels, out_channels, 3, activation=None),
            )
        )
        super().__init__(branch, in_channels, out_channels, stride=stride, project=project)


class BottleneckUnit(ResidualUnit):
    """1 × 1, 3 × 3, 1 × 1; `out_channels` is four times the width between (Figure 5, right).

    The paper puts the stride on the first convolution; most code since, and so `stride_on_3x3`, on the 3 × 3, which
    costs 6 % more in ResNet-50 and is more accurate ("v1.5").

    MAdds, B = out_channels / 4, output map H' × W': M·B at the map that follows the first convolution, then
    H'·W'·(9·B² + B·N), and H'·W'·M·N for a projecting shortcut.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int = 1, project: bool = False, stride_on_3x3: bool = True
    ) -> None:
        middle = out_channels // 4
        first, second = (1, stride) if stride_on_3x3 else (stride, 1)
        branch = nn.Sequential(
            OrderedDict(
                conv1=ConvNormAct(in_channels, middle, 1, stride=first),
                conv2=ConvNormAct(middle, middle, 3, stride=second),
                conv3=ConvNormAct(middle, out_channels, 1, activation=None),
            )
        )
        super().__init__(branch, in_channels, out_channels, stride=stride, project=project)

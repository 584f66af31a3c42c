"""The two inverted bottlenecks of MobileNetV4: the universal one, and the fused one for the first layers."""

from collections import OrderedDict

import torch
from torch import nn

from .conv_norm_act import ConvNormAct, Norm


class UniversalInvertedBottleneck(nn.Sequential):
    """Expand and project pointwise, with a depthwise convolution before the expansion, after it, both, or neither.

    (N, in_channels, H, W) -> (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉). `start_kernel` and `middle_kernel` are the
    kernels of the two depthwise convolutions, 0 where there is none: with the middle one alone this is the inverted
    residual of MobileNetV2, with the first alone ConvNeXt's block, with neither a feed-forward layer, with both the paper's
    "extra depthwise". The stride is the middle one's, if there is one. The first one and the projection have no
    activation. The input is added where the shapes are equal.

    MAdds for an output map of H' × W', E = expanded, S and K the two kernels (0 for none), and H × W the map before the
    middle convolution (the output's where there is none): H·W·(S²·M + M·E) + H'·W'·(K²·E + E·N).

    Paper: "MobileNetV4: Universal Models for the Mobile Ecosystem", section 4 and Figure 4.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        expanded: int,
        start_kernel: int = 0,
        middle_kernel: int = 0,
        stride: int = 1,
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        if stride > 1 and not start_kernel and not middle_kernel:
            raise ValueError("A stride needs a depthwise convolution to take it.")
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if start_kernel:
            layers["start"] = ConvNormAct(
                in_channels,
                in_channels,
                start_kernel,
                stride=1 if middle_kernel else stride,
                groups=in_channels,
                activation=None,
                norm=norm,
            )
        layers["expand"] = ConvNormAct(in_channels, expanded, 1, norm=norm)
        if middle_kernel:
            layers["middle"] = ConvNormAct(expanded, expanded, middle_kernel, stride=stride, groups=expanded, norm=norm)
        layers["project"] = ConvNormAct(expanded, out_channels, 1, activation=None, norm=norm)
        super().__init__(layers)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return x + y if self.residual else y


class FusedInvertedBottleneck(nn.Sequential):
    """Expand by a 3 × 3 convolution instead of a pointwise and a depthwise one, project pointwise without activation.

    (N, in_channels, H, W) -> (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉); the input is added where the shapes are equal.
    Few channels make this faster than the two layers that it replaces, though it costs more multiply-adds.

    MAdds for an output map of H' × W', E = expanded: H'·W'·(9·M·E + E·N). Paper: as above, section 4.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, expanded: int, stride: int = 1, norm: Norm = nn.BatchNorm2d
    ) -> None:
        expand = ConvNormAct(in_channels, expanded, 3, stride=stride, norm=norm)
        super().__init__(
            OrderedDict(expand=expand, project=ConvNormAct(expanded, out_channels, 1, activation=None, norm=norm))
        )
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return x + y if self.residual else y

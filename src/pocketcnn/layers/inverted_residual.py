"""The inverted residual with linear bottleneck of MobileNetV2, with the squeeze-and-excite of its successors."""

from collections import OrderedDict

import torch
from torch import nn

from .conv_norm_act import ConvNormAct, Norm
from .padding import Padding
from .squeeze_excite import SqueezeExcite


class InvertedResidual(nn.Sequential):
    """Expand by a pointwise convolution, filter depthwise, project back pointwise *without* activation.

    (N, in_channels, H, W) -> (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉). The input is added to the output when both
    have the same shape, unless `residual` is False. There is no expansion when `expanded` equals `in_channels`.
    `squeeze` is the hidden width of a squeeze-and-excite after the depthwise convolution; None: there is none.

    MAdds for an input map of H × W, an output map of H' × W', E = expanded, R = squeeze:
    H·W·M·E (if E ≠ M) + H'·W'·K²·E + 2·E·R + H'·W'·E·N.

    Paper: "MobileNetV2: Inverted Residuals and Linear Bottlenecks", section 3 and Table 1; "Searching for
    MobileNetV3", Figure 4, adds squeeze-and-excite.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        expanded: int,
        kernel: int = 3,
        stride: int = 1,
        activation: str = "relu6",
        squeeze: int | None = None,
        gate: str = "hardsigmoid",
        residual: bool = True,
        norm: Norm = nn.BatchNorm2d,
        padding: Padding = "symmetric",
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if expanded != in_channels:
            layers["expand"] = ConvNormAct(in_channels, expanded, 1, activation=activation, norm=norm)
        layers["depthwise"] = ConvNormAct(
            expanded,
            expanded,
            kernel,
            stride=stride,
            groups=expanded,
            activation=activation,
            norm=norm,
            padding=padding,
        )
        if squeeze is not None:
            layers["squeeze_excite"] = SqueezeExcite(expanded, squeeze, gate=gate)
        layers["project"] = ConvNormAct(expanded, out_channels, 1, activation=None, norm=norm)
        super().__init__(layers)
        self.residual = residual and stride == 1 and in_channels == out_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return x + y if self.residual else y

"""The depthwise separable convolution of MobileNetV1."""

from collections import OrderedDict

from torch import nn

from .batch_norm import Norm
from .conv_norm_act import ConvNormAct


class DepthwiseSeparable(nn.Sequential):
    """A K × K depthwise convolution filters each channel, a pointwise one combines them; both with norm and activation.

    (N, in_channels, H, W) -> (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉).

    MAdds, for an output map of H × W: H·W·K²·M + H·W·M·N, which is 1/N + 1/K² of the standard convolution's
    H·W·K²·M·N. Paper: "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
    section 3.1 and Figure 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        activation: str = "relu6",
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        depthwise = ConvNormAct(
            in_channels,
            in_channels,
            kernel,
            stride=stride,
            groups=in_channels,
            activation=activation,
            norm=norm,
        )
        pointwise = ConvNormAct(in_channels, out_channels, 1, activation=activation, norm=norm)
        super().__init__(OrderedDict(depthwise=depthwise, pointwise=pointwise))

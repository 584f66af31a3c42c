"""The two ways to separate a convolution: channels from space (MobileNetV1), and columns from rows (Inception-v3)."""

from collections import OrderedDict

from torch import nn

from .conv_norm_act import ConvNormAct, Norm
from .conv_norm_act import activation as make_activation


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


class SpatiallySeparable(nn.Sequential):
    """A K × 1 convolution, then a 1 × K one, K odd; norm and activation after each.

    (N, in_channels, H, W) -> (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉): the first shortens the columns, the second the
    rows.

    MAdds for an output map of H' × W': H'·W·K·M·N + H'·W'·K·N²; without stride and with M = N that is 2 / K of the
    standard convolution's H·W·K²·M·N. It can only compute kernels of rank 1. Paper: "Rethinking the Inception
    Architecture for Computer Vision" (Szegedy et al., 2016), section 3.2, and with an activation between, as here, "ERFNet"
    (Romera et al., 2018). It is the operation `factorized` of a search space's blocks.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        activation: str = "relu",
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        pad = kernel // 2
        super().__init__(
            OrderedDict(
                column=nn.Conv2d(in_channels, out_channels, (kernel, 1), (stride, 1), (pad, 0), bias=False),
                norm1=norm(out_channels),
                act1=make_activation(activation),
                row=nn.Conv2d(out_channels, out_channels, (1, kernel), (1, stride), (0, pad), bias=False),
                norm2=norm(out_channels),
                act2=make_activation(activation),
            )
        )

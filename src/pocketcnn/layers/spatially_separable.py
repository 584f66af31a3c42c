"""The spatially separable convolution: a K × K kernel as the product of a column and a row."""

from collections import OrderedDict

from torch import nn

from .activations import activation as make_activation
from .batch_norm import Norm


class SpatiallySeparable(nn.Sequential):
    """A K × 1 convolution, then a 1 × K one, K odd; norm and activation after each.

    (N, in_channels, H, W) -> (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉): the first shortens the columns, the second the
    rows.

    MAdds for an output map of H' × W': H'·W·K·M·N + H'·W'·K·N²; without stride and with M = N that is 2 / K of the
    standard convolution's H·W·K²·M·N. It can only compute kernels of rank 1. Paper: "Rethinking the Inception
    Architecture for Computer Vision" (Szegedy et al., 2016), section 3.2; one of the operations of NASNet's search.
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

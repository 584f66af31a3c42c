"""The operations of NASNet's cells that have weights."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import nn

from .conv_norm_act import Norm
from .padding import Padding, conv2d


class TwiceSeparable(nn.Sequential):
    """Two times ReLU, depthwise convolution, pointwise convolution, norm; the first depthwise one has the stride.

    (N, in_channels, H, W) -> (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉). Other than in MobileNet there is nothing between
    a depthwise convolution and its pointwise one.

    MAdds for an output map of H' × W': H'·W'·(K²·M + M·N + K²·N + N²).
    Paper: "Learning Transferable Architectures for Scalable Image Recognition", section 3.1 and appendix A.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        norm: Norm = nn.BatchNorm2d,
        padding: Padding = "symmetric",
    ) -> None:
        super().__init__(
            OrderedDict(
                act1=nn.ReLU(),
                depthwise1=conv2d(in_channels, in_channels, kernel, stride=stride, groups=in_channels, padding=padding),
                pointwise1=conv2d(in_channels, out_channels, 1),
                norm1=norm(out_channels),
                act2=nn.ReLU(),
                depthwise2=conv2d(out_channels, out_channels, kernel, groups=out_channels),
                pointwise2=conv2d(out_channels, out_channels, 1),
                norm2=norm(out_channels),
            )
        )


class ActConvNorm(nn.Sequential):
    """ReLU, convolution, norm; of several kernels, one such triple after the other, the first of which has the stride.

    (N, in_channels, H, W) -> (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉). A kernel is (height, width), both odd; pixels of a
    dilated one lie `dilation` apart.

    MAdds for an output map of H' × W' and one kernel: H'·W'·Kh·Kw·M·N.
    Paper: "Learning Transferable Architectures for Scalable Image Recognition", section 3.1 and appendix A.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *kernels: tuple[int, int],
        stride: int = 1,
        dilation: int = 1,
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        channels, step = in_channels, stride
        for number, (height, width) in enumerate(kernels, 1):
            layers[f"act{number}"] = nn.ReLU()
            layers[f"conv{number}"] = nn.Conv2d(
                channels,
                out_channels,
                (height, width),
                step,
                padding=(dilation * (height // 2), dilation * (width // 2)),
                dilation=dilation,
                bias=False,
            )
            layers[f"norm{number}"] = norm(out_channels)
            channels, step = out_channels, 1
        super().__init__(layers)


class FactorizedReduction(nn.Module):
    """Half the size without losing pixels: half of the channels see the even pixels, half the odd ones.

    (N, in_channels, H, W) -> (N, out_channels, ⌈H / 2⌉, ⌈W / 2⌉), with a ReLU before and a norm after; beyond the border
    there are zeros.

    MAdds for an output map of H' × W': H'·W'·M·N.
    From the authors' code (`factorized_reduction` of nasnet_utils.py, TensorFlow-Slim).
    """

    def __init__(self, in_channels: int, out_channels: int, *, norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__()
        if out_channels % 2:
            raise ValueError(f"{out_channels} channels cannot be halved.")
        self.act = nn.ReLU()
        self.skip = nn.AvgPool2d(1, stride=2)  # every second pixel
        self.even = conv2d(in_channels, out_channels // 2, 1)
        self.odd = conv2d(in_channels, out_channels // 2, 1)
        self.norm = norm(out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(x)
        moved = F.pad(x, (0, 1, 0, 1))[:, :, 1:, 1:]
        y: torch.Tensor = self.norm(torch.cat((self.even(self.skip(x)), self.odd(self.skip(moved))), dim=1))
        return y

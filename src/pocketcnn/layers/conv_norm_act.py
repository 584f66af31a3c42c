"""Convolution, batch norm, activation: the unit that every light network is made of."""

from collections import OrderedDict

from torch import nn

from .activations import activation as make_activation
from .batch_norm import Norm


class ConvNormAct(nn.Sequential):
    """A K × K convolution without bias, its normalisation, and an activation unless `activation` is None.

    (N, in_channels, H, W) -> (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉): the padding is K // 2 on every side.

    MAdds, for an output map of H × W: standard H·W·N·K²·M; grouped H·W·N·K²·M / G; depthwise (G = M = N) H·W·K²·M;
    pointwise (K = 1) H·W·N·M.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        *,
        stride: int = 1,
        groups: int = 1,
        activation: str | None = "relu",
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["conv"] = nn.Conv2d(
            in_channels, out_channels, kernel, stride, padding=kernel // 2, groups=groups, bias=False
        )
        layers["norm"] = norm(out_channels)
        if activation is not None:
            layers["act"] = make_activation(activation)
        super().__init__(layers)

"""Convolution, batch norm, activation: the unit that every light network is made of."""

from collections import OrderedDict

from torch import nn

from .activations import activation as make_activation
from .batch_norm import Norm
from .padding import Padding, conv2d


class ConvNormAct(nn.Sequential):
    """A K × K convolution without bias, its normalisation, and an activation unless `activation` is None.

    (N, in_channels, H, W) -> (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉), K odd; `padding` says where pixels are added.

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
        padding: Padding = "symmetric",
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["conv"] = conv2d(in_channels, out_channels, kernel, stride=stride, groups=groups, padding=padding)
        layers["norm"] = norm(out_channels)
        if activation is not None:
            layers["act"] = make_activation(activation)
        super().__init__(layers)

"""Convolution, batch norm, activation: the unit that every light network is made of, and its parts.

Activations have names, so that a network's table can name them: relu max(0, x); relu6 min(max(0, x), 6); hardsigmoid
relu6(x + 3) / 6; hardswish x · relu6(x + 3) / 6 ("Searching for MobileNetV3", section 5.2); sigmoid 1 / (1 + e⁻ˣ); silu
x · sigmoid(x). Batch norm has a paper's constants: TensorFlow states the decay of the running statistics, torch their
momentum, which is 1 - decay.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from torch import nn

from pocketcnn.errors import UsageError

from .padding import Padding, conv2d

ACTIVATIONS: Mapping[str, type[nn.Module]] = MappingProxyType(
    {
        "relu": nn.ReLU,
        "relu6": nn.ReLU6,
        "hardswish": nn.Hardswish,
        "hardsigmoid": nn.Hardsigmoid,
        "sigmoid": nn.Sigmoid,
        "silu": nn.SiLU,
    }
)


def activation(name: str) -> nn.Module:
    """A new activation module, which preserves the shape.

    Raises:
        UsageError: `name` is not a key of `ACTIVATIONS`.
    """
    if name not in ACTIVATIONS:
        raise UsageError(f"Unknown activation '{name}'. Choose one of {', '.join(ACTIVATIONS)}.")
    return ACTIVATIONS[name]()


_make_activation = activation  # `activation` is also a keyword of `ConvNormAct`

Norm = Callable[[int], nn.Module]
"""Channels -> a new normalisation layer."""


def batch_norm(*, eps: float, decay: float) -> Norm:
    """A factory of `nn.BatchNorm2d` with these constants; `decay` as stated in the papers and TensorFlow code."""
    return partial(nn.BatchNorm2d, eps=eps, momentum=1 - decay)


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
            layers["act"] = _make_activation(activation)
        super().__init__(layers)

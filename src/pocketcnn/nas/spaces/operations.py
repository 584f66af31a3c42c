"""The layers of which blocks in a search space consist, by name."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import nn

from pocketcnn.layers import (
    ConvNormAct,
    InvertedResidual,
    Norm,
    ShuffleV2Unit,
    SpatiallySeparable,
    SqueezeExcite,
    make_divisible,
)

SHUFFLES = ("shuffle3", "shuffle5", "shuffle7", "xception")
"""The four choice blocks of "Single Path One-Shot Neural Architecture Search with Uniform Sampling" (Guo et al., 2020)."""

OPERATIONS = ("conv", "separable", "inverted", "factorized", *SHUFFLES)
"""A standard convolution; a depthwise separable one (linear at its end); an inverted residual; a K x K convolution factorized
into K x 1 and 1 x K ("Rethinking the Inception Architecture for Computer Vision" (Szegedy et al., 2016), section 3.2); the
units of ShuffleNetV2."""

CONVOLUTIONS: Mapping[str, Callable[..., nn.Module]] = MappingProxyType(
    {"conv": ConvNormAct, "factorized": SpatiallySeparable}
)
"""Operations that mix channels and space; squeeze-and-excite follows them instead of being inside."""

SKIPS = ("none", "identity", "pool")
"""No skip; the identity if input and output have the same shape; or pooling, a skip that is always there, pooled and
projected if needed."""

SQUEEZE = 0.25
"""Hidden width of squeeze-and-excite as a share of the expanded channels, as in MobileNetV3 (MnasNet: of the layer's input)."""


@dataclass(frozen=True)
class Layer:
    """One layer: (N, in_channels, H, W) -> (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉)."""

    operation: str
    in_channels: int
    out_channels: int
    kernel: int = 3
    stride: int = 1
    expansion: float = 6
    squeeze_excite: bool = False
    activation: str = "relu"
    skip: str = "identity"

    @property
    def keeps_shape(self) -> bool:
        """Whether the output has the shape of the input."""
        return self.stride == 1 and self.in_channels == self.out_channels


def layer(kind: Layer, norm: Norm) -> nn.Module:
    """The module of a layer."""
    if kind.operation in SHUFFLES:
        return _shuffle_unit(kind)
    body = _convolution(kind, norm) if kind.operation in CONVOLUTIONS else _inverted(kind, norm)
    if kind.skip == "none" or (kind.skip == "identity" and not kind.keeps_shape):
        return body
    return WithSkip(body, _shortcut(kind, norm))


class WithSkip(nn.Module):
    """body(x) + shortcut(x)."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total: torch.Tensor = self.shortcut(x) + self.body(x)
        return total


def _convolution(kind: Layer, norm: Norm) -> nn.Module:
    conv = CONVOLUTIONS[kind.operation](
        kind.in_channels, kind.out_channels, kind.kernel, stride=kind.stride, activation=kind.activation, norm=norm
    )
    if not kind.squeeze_excite:
        return conv
    hidden = make_divisible(kind.out_channels * SQUEEZE, 4)
    gate = SqueezeExcite(kind.out_channels, hidden, gate="hardsigmoid")
    return nn.Sequential(OrderedDict(conv=conv, squeeze_excite=gate))


def _inverted(kind: Layer, norm: Norm) -> nn.Module:
    """An inverted residual without its addition; the separable convolution is the case without expansion."""
    expanded = kind.in_channels
    if kind.operation == "inverted":
        expanded = make_divisible(kind.in_channels * kind.expansion, 4)
    return InvertedResidual(
        kind.in_channels,
        kind.out_channels,
        expanded=expanded,
        kernel=kind.kernel,
        stride=kind.stride,
        activation=kind.activation,
        squeeze=make_divisible(expanded * SQUEEZE, 4) if kind.squeeze_excite else None,
        residual=False,
        norm=norm,
    )


def _shortcut(kind: Layer, norm: Norm) -> nn.Module:
    """The shortcut of a layer. The paper allows pooling; a 1 × 1 convolution adapts the channels if they differ."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if kind.stride > 1:
        layers["pool"] = nn.AvgPool2d(3, kind.stride, padding=1, count_include_pad=False)
    if kind.in_channels != kind.out_channels:
        layers["project"] = ConvNormAct(kind.in_channels, kind.out_channels, 1, activation=None, norm=norm)
    return nn.Sequential(layers) if layers else nn.Identity()


def _shuffle_unit(kind: Layer) -> nn.Module:
    xception = kind.operation == "xception"
    kernel = 3 if xception else int(kind.operation.removeprefix("shuffle"))
    return ShuffleV2Unit(
        kind.in_channels,
        kind.out_channels,
        stride=kind.stride,
        split=kind.keeps_shape,
        kernel=kernel,
        xception=xception,
    )

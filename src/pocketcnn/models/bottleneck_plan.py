"""Networks of inverted residuals as data: every width and stride in a table, before any weight exists."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Self

from torch import nn

from pocketcnn.layers import ConvNormAct, InvertedResidual, Norm, Padding, keep_total_stride


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """One inverted residual, with its final channel counts."""

    expanded: int
    out: int
    kernel: int = 3
    stride: int = 1
    activation: str = "relu6"
    squeeze: int | None = None
    """Hidden width of the squeeze-and-excite; None: there is none."""
    gate: str = "hardsigmoid"
    residual: bool = True
    """False forbids the addition of the input where the shapes would allow it."""

    def build(self, in_channels: int, norm: Norm, padding: Padding = "symmetric") -> InvertedResidual:
        """The block with fresh weights: (N, in_channels, H, W) -> (N, out, H / stride, W / stride), sides rounded up."""
        return InvertedResidual(
            in_channels,
            self.out,
            expanded=self.expanded,
            kernel=self.kernel,
            stride=self.stride,
            activation=self.activation,
            squeeze=self.squeeze,
            gate=self.gate,
            residual=self.residual,
            norm=norm,
            padding=padding,
        )


@dataclass(frozen=True, slots=True)
class BottleneckPlan:
    """A 3 × 3 stem, inverted residuals, and a last 1 × 1 convolution, with their final channel counts."""

    stem: int
    blocks: tuple[Bottleneck, ...]
    last: int
    activation: str
    """Of the stem and of the last convolution."""
    stem_stride: int = 2
    padding: Padding = "symmetric"

    @property
    def strides(self) -> tuple[int, ...]:
        return (self.stem_stride, *(block.stride for block in self.blocks))

    def with_total_stride(self, total: int) -> Self:
        """The variant for small images: the same weights, the earliest strides set to 1 (see `keep_total_stride`)."""
        stem_stride, *strides = keep_total_stride(self.strides, total)
        blocks = tuple(replace(b, stride=s) for b, s in zip(self.blocks, strides, strict=True))
        return replace(self, stem_stride=stem_stride, blocks=blocks)

    def features(self, in_channels: int, norm: Norm) -> nn.Sequential:
        """(N, in_channels, H, W) -> (N, last, H / total stride, W / total stride), sides rounded up."""
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["stem"] = ConvNormAct(
            in_channels,
            self.stem,
            3,
            stride=self.stem_stride,
            activation=self.activation,
            norm=norm,
            padding=self.padding,
        )
        layers |= self._residuals(norm)
        final = self.blocks[-1].out if self.blocks else self.stem
        layers["last"] = ConvNormAct(final, self.last, 1, activation=self.activation, norm=norm)
        return nn.Sequential(layers)

    def _residuals(self, norm: Norm) -> OrderedDict[str, nn.Module]:
        channels = self.stem
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number, block in enumerate(self.blocks, start=1):
            layers[f"block{number}"] = block.build(channels, norm, self.padding)
            channels = block.out
        return layers

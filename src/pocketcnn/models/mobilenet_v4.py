"""MobileNetV4: "MobileNetV4: Universal Models for the Mobile Ecosystem" (Qin et al., 2024), Conv-Small and Conv-Medium.

The layer tables of the paper's appendix. Their exact order and batch norm (eps 1e-3, decay 0.99) are those of the authors'
code (tensorflow/models, official/vision/modeling/backbones/mobilenet.py). The paper says nothing of initial weights: they
are drawn as for MnasNet and EfficientNet, whose dropout (0.2) is taken over too.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

from torch import nn

from pocketcnn.layers import (
    ConvNormAct,
    FusedInvertedBottleneck,
    UniversalInvertedBottleneck,
    batch_norm,
    fan_out_normal_weights,
    keep_total_stride,
    make_divisible,
)

from .image_classifier import ImageClassifier
from .registry import register

EPS, DECAY = 1e-3, 0.99
NORM = batch_norm(eps=EPS, decay=DECAY)


@dataclass(frozen=True, slots=True)
class Conv:
    """A convolution with batch norm and ReLU."""

    kernel: int
    out: int
    stride: int = 1


@dataclass(frozen=True, slots=True)
class Fused:
    """A fused inverted bottleneck."""

    expansion: float
    out: int
    stride: int = 1


@dataclass(frozen=True, slots=True)
class Universal:
    """A universal inverted bottleneck: kernels of its first and its middle depthwise convolution, 0 for none."""

    start: int
    middle: int
    expansion: float
    out: int
    stride: int = 1


Row = Conv | Fused | Universal
STEM = 32  # 224 -> 112
SMALL: tuple[Row, ...] = (
    Conv(3, 32, stride=2),  # 112 -> 56
    Conv(1, 32),
    Conv(3, 96, stride=2),  # 56 -> 28
    Conv(1, 64),
    Universal(5, 5, 3, 96, stride=2),  # 28 -> 14
    Universal(0, 3, 2, 96),
    Universal(0, 3, 2, 96),
    Universal(0, 3, 2, 96),
    Universal(0, 3, 2, 96),
    Universal(3, 0, 4, 96),
    Universal(3, 3, 6, 128, stride=2),  # 14 -> 7
    Universal(5, 5, 4, 128),
    Universal(0, 5, 4, 128),
    Universal(0, 5, 3, 128),
    Universal(0, 3, 4, 128),
    Universal(0, 3, 4, 128),
    Conv(1, 960),
)
MEDIUM: tuple[Row, ...] = (
    Fused(4, 48, stride=2),  # 112 -> 56
    Universal(3, 5, 4, 80, stride=2),  # 56 -> 28
    Universal(3, 3, 2, 80),
    Universal(3, 5, 6, 160, stride=2),  # 28 -> 14
    Universal(3, 3, 4, 160),
    Universal(3, 3, 4, 160),
    Universal(3, 5, 4, 160),
    Universal(3, 3, 4, 160),
    Universal(3, 0, 4, 160),
    Universal(0, 0, 2, 160),
    Universal(3, 0, 4, 160),
    Universal(5, 5, 6, 256, stride=2),  # 14 -> 7
    Universal(5, 5, 4, 256),
    Universal(3, 5, 4, 256),
    Universal(3, 5, 4, 256),
    Universal(0, 0, 4, 256),
    Universal(3, 0, 4, 256),
    Universal(3, 5, 2, 256),
    Universal(5, 5, 4, 256),
    Universal(0, 0, 4, 256),
    Universal(0, 0, 4, 256),
    Universal(5, 0, 2, 256),
    Conv(1, 960),
)
HEAD = 1280


class MobileNetV4(ImageClassifier):
    """Stem, rows, mean over the map, a linear layer with batch norm and ReLU, dropout, one more linear layer."""

    def __init__(
        self,
        stem: int,
        rows: Sequence[Row],
        head: int,
        *,
        classes: int,
        in_channels: int,
        dropout: float,
        total_stride: int = 32,
    ) -> None:
        stem_stride, *strides = keep_total_stride([2, *(row.stride for row in rows)], total_stride)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["stem"] = ConvNormAct(in_channels, stem, 3, stride=stem_stride, norm=NORM)
        channels = stem
        for number, (row, stride) in enumerate(zip(rows, strides, strict=True), start=1):
            layers[f"block{number}"] = _block(channels, replace(row, stride=stride))
            channels = row.out
        classifier = nn.Sequential(
            nn.Linear(channels, head, bias=False),
            nn.BatchNorm1d(head, eps=EPS, momentum=1 - DECAY),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(head, classes),
        )
        super().__init__(nn.Sequential(layers), classifier)
        fan_out_normal_weights(self)


def _block(channels: int, row: Row) -> nn.Module:
    if isinstance(row, Conv):
        return ConvNormAct(channels, row.out, row.kernel, stride=row.stride, norm=NORM)
    expanded = make_divisible(channels * row.expansion)
    if isinstance(row, Fused):
        return FusedInvertedBottleneck(channels, row.out, expanded=expanded, stride=row.stride, norm=NORM)
    return UniversalInvertedBottleneck(
        channels,
        row.out,
        expanded=expanded,
        start_kernel=row.start,
        middle_kernel=row.middle,
        stride=row.stride,
        norm=NORM,
    )


def _build(
    rows: Sequence[Row],
    *,
    width: float = 1.0,
    classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.2,
    total_stride: int = 32,
    head_width: int | None = None,
) -> MobileNetV4:
    """One variant; `width` scales every layer but the 1280-wide one, and the stem only above 1, as timm has it.

    `head_width` sets the width of the last layer but one, 1280 in the paper. `total_stride` below 32 keeps more of a small
    image: the earliest strides are dropped.
    """
    return MobileNetV4(
        make_divisible(STEM * max(1.0, width)),
        [replace(row, out=make_divisible(row.out * width)) for row in rows],
        head_width or HEAD,
        classes=classes,
        in_channels=in_channels,
        dropout=dropout,
        total_stride=total_stride,
    )


VARIANTS: Mapping[str, tuple[Row, ...]] = MappingProxyType(
    {
        "mobilenet_v4_conv_small": SMALL,  # 224 x 224 in the paper
        "mobilenet_v4_conv_medium": MEDIUM,  # 256 x 256
    }
)
for _name, _rows in VARIANTS.items():
    register(_name, small_image_head=HEAD)(partial(_build, _rows))

"""SqueezeNet: "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size" (Iandola et al., 2016).

Table 1 of the paper (1.0), and the authors' later 1.1, which is as accurate with 2.4 times less computation. Initial
weights are those of the authors' Caffe file: "xavier", which there means a variance of 1 / fan in; conv10 N(0, 0.01²).
"""

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import nn

from pocketcnn.layers import Fire, keep_total_stride, uniform_fan_in_weights

from .image_classifier import ImageClassifier, reset_last_layer
from .registry import register


@dataclass(frozen=True, slots=True)
class Row:
    """A Fire module, and whether a 3 × 3 max pooling of stride 2 follows it."""

    squeeze: int
    expand: int
    """Channels of each of its two expanding convolutions."""
    pooled: bool = False


@dataclass(frozen=True, slots=True)
class Variant:
    """A stem of stride 2 and a max pooling, then Fire modules, numbered from 2 as in the paper. No padding, rounded up."""

    stem: int
    stem_kernel: int
    rows: tuple[Row, ...]


SQUEEZENET_1_0 = Variant(
    stem=96,  # 227 -> 111, pooled -> 55
    stem_kernel=7,
    rows=(
        Row(16, 64),  # 55
        Row(16, 64),
        Row(32, 128, pooled=True),  # 55 -> 27
        Row(32, 128),
        Row(48, 192),
        Row(48, 192),
        Row(64, 256, pooled=True),  # 27 -> 13
        Row(64, 256),  # 13
    ),
)
SQUEEZENET_1_1 = Variant(
    stem=64,  # 227 -> 113, pooled -> 56
    stem_kernel=3,
    rows=(
        Row(16, 64),  # 56
        Row(16, 64, pooled=True),  # 56 -> 28
        Row(32, 128),
        Row(32, 128, pooled=True),  # 28 -> 14
        Row(48, 192),  # 14
        Row(48, 192),
        Row(64, 256),
        Row(64, 256),
    ),
)


class SqueezeNet(ImageClassifier):
    """Every position of the last map is classified by a pointwise convolution, and the scores are averaged over the map.

    `classifier` therefore takes (N, 512, h, w) and gives (N, classes, h, w).
    """

    def __init__(
        self,
        variant: Variant,
        *,
        classes: int,
        in_channels: int,
        dropout: float,
        total_stride: int = 16,
        classifier_padding: int = 0,
    ) -> None:
        features = _features(variant, in_channels, total_stride)
        last = nn.Conv2d(2 * variant.rows[-1].expand, classes, 1, padding=classifier_padding)
        super().__init__(features, nn.Sequential(OrderedDict(dropout=nn.Dropout(dropout), conv=last, act=nn.ReLU())))
        uniform_fan_in_weights(self)
        nn.init.normal_(last.weight, std=0.01)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.flatten(self.pool(self.classifier(self.features(x))), 1)

    def reset_classifier(self, classes: int) -> None:
        """Replace the classifying convolution by a fresh one for `classes` classes; everything else keeps its weights."""
        reset_last_layer(self.classifier, 1, classes)


def _features(variant: Variant, in_channels: int, total_stride: int) -> nn.Sequential:
    """(N, in_channels, H, W) -> (N, 512, about H / total stride, about W / total stride)."""
    pools = 1 + sum(row.pooled for row in variant.rows)
    stem_stride, *pool_strides = keep_total_stride([2] * (1 + pools), total_stride)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["stem"] = nn.Conv2d(in_channels, variant.stem, variant.stem_kernel, stem_stride)
    layers["stem_act"] = nn.ReLU()
    layers |= _pool(1, pool_strides.pop(0))
    channels = variant.stem
    for number, row in enumerate(variant.rows, start=2):
        layers[f"fire{number}"] = Fire(channels, row.squeeze, row.expand)
        channels = 2 * row.expand
        if row.pooled:
            layers |= _pool(number, pool_strides.pop(0))
    return nn.Sequential(layers)


def _pool(after: int, stride: int) -> OrderedDict[str, nn.Module]:
    """No layer at all where a small image keeps its size."""
    pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
    return OrderedDict({f"pool{after}": pool} if stride == 2 else {})


@register("squeezenet1_0", smallest_side=21, smallest_small_side=8)
def squeezenet1_0(
    *,
    classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.5,
    total_stride: int = 16,
    classifier_padding: int = 0,
) -> SqueezeNet:
    """SqueezeNet 1.0, for 227 × 227 in the paper.

    `total_stride` below 16 keeps more of a small image: first the stem's stride is dropped, then the earliest poolings.
    `classifier_padding` is 1 in the authors' Caffe file, which adds a border of constant scores to the mean; nobody
    followed.
    """
    return SqueezeNet(
        SQUEEZENET_1_0,
        classes=classes,
        in_channels=in_channels,
        dropout=dropout,
        total_stride=total_stride,
        classifier_padding=classifier_padding,
    )


@register("squeezenet1_1", smallest_side=17, smallest_small_side=4)
def squeezenet1_1(
    *, classes: int = 1000, in_channels: int = 3, dropout: float = 0.5, total_stride: int = 16
) -> SqueezeNet:
    """SqueezeNet 1.1; `total_stride` as in 1.0."""
    return SqueezeNet(
        SQUEEZENET_1_1, classes=classes, in_channels=in_channels, dropout=dropout, total_stride=total_stride
    )

"""ShuffleNetV1: "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices" (Zhang et al., 2018).

Table 1 of the paper. What it leaves open follows the authors' code (megvii-model/ShuffleNet-Series): the bottleneck of a
strided unit is a quarter of the *full* width too, the first convolution of the first unit is not grouped, there is no
activation after the depthwise one, and the stem is narrower below width 1. Initial weights are the code's too.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from torch import nn

from pocketcnn.layers import ConvNormAct, ShuffleV1Unit, keep_total_stride, shufflenet_weights

from .image_classifier import ImageClassifier
from .registry import register


@dataclass(frozen=True, slots=True)
class Stage:
    """`repeats` units; the first has stride 2 and doubles the width of the stage before."""

    widening: int
    """Width relative to that of the first stage."""
    repeats: int


STAGES = (  # stem and max pooling come first: 224 -> 112 -> 56
    Stage(1, 4),  # 56 -> 28
    Stage(2, 8),  # 28 -> 14
    Stage(4, 4),  # 14 -> 7
)
FIRST_STAGE: Mapping[int, int] = MappingProxyType({1: 144, 2: 200, 3: 240, 4: 272, 8: 384})
"""Groups -> width of the first stage, chosen so that all networks cost about the same."""


class ShuffleNetV1(ImageClassifier):
    """Stem, max pooling, stages of units, mean over the map, one linear layer."""

    def __init__(
        self,
        stem: int,
        first_stage: int,
        *,
        groups: int,
        classes: int,
        in_channels: int,
        dropout: float = 0.0,
        total_stride: int = 32,
        classifier_bias: bool = True,
    ) -> None:
        stem_stride, pool_stride, *strides = keep_total_stride([2, 2, *(2 for _ in STAGES)], total_stride)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["stem"] = first = ConvNormAct(in_channels, stem, 3, stride=stem_stride)
        if pool_stride == 2:
            layers["pool"] = nn.MaxPool2d(3, stride=2, padding=1)
        channels = stem
        for number, (stage, stride) in enumerate(zip(STAGES, strides, strict=True), start=2):
            out = first_stage * stage.widening
            reduce_groups = 1 if channels == stem else groups
            layers[f"stage{number}"] = nn.Sequential(
                ShuffleV1Unit(channels, out, groups=groups, stride=stride, concat=True, reduce_groups=reduce_groups),
                *(ShuffleV1Unit(out, out, groups=groups) for _ in range(stage.repeats - 1)),
            )
            channels = out
        classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, classes, bias=classifier_bias))
        super().__init__(nn.Sequential(layers), classifier)
        shufflenet_weights(self, first=first)


@register("shufflenet_v1")
def shufflenet_v1(
    *,
    width: float = 1.0,
    groups: Literal[1, 2, 3, 4, 8] = 3,
    classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.0,
    total_stride: int = 32,
    classifier_bias: bool = True,
) -> ShuffleNetV1:
    """ShuffleNetV1; the paper has widths from 0.25 to 2.

    Widths are rounded to what the groups divide. `total_stride` below 32 keeps more of a small image: first the stem's
    stride is dropped, then the max pooling. The authors' published weights have no bias in the classifier.
    """
    return ShuffleNetV1(
        _stem(width, groups),
        _first_stage(width, groups),
        groups=groups,
        classes=classes,
        in_channels=in_channels,
        dropout=dropout,
        total_stride=total_stride,
        classifier_bias=classifier_bias,
    )


def _first_stage(width: float, groups: int) -> int:
    """The multiple of 4 · groups that is nearest, so that the groups divide a quarter of it; never under 32."""
    divisor = 4 * groups
    return max(-(-32 // divisor), int(FIRST_STAGE[groups] * width / divisor + 0.5)) * divisor


def _stem(width: float, groups: int) -> int:
    """24, at width 2 and above 48, below width 1 only 12; in 8 groups the nearest multiple of 8."""
    stem = 48 if width >= 2 else 24 if width >= 1 else 12
    return stem if stem % groups == 0 else max(1, int(24 * width / groups + 0.5)) * groups

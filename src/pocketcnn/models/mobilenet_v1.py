"""MobileNetV1: "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications" (2017).

Table 1 of the paper. Two things follow the authors' code (TensorFlow-Slim, mobilenet_v1.py) instead: the last depthwise
convolution has stride 1 (the table prints 2, yet its map stays 7 × 7), and the activation is ReLU6. Batch norm (eps
1e-3, decay 0.9997), initial weights (truncated normal, 0.09) and dropout (0.001) are the code's too.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

from pocketcnn.layers import ConvNormAct, DepthwiseSeparable, batch_norm, keep_total_stride, truncated_normal_weights

from .image_classifier import ImageClassifier
from .registry import register

NORM = batch_norm(eps=1e-3, decay=0.9997)


@dataclass(frozen=True, slots=True)
class Separable:
    """One depthwise separable convolution, 3 × 3."""

    out: int
    stride: int = 1


STEM = 32  # 224 -> 112
BLOCKS = (
    Separable(64),  # 112
    Separable(128, stride=2),  # 112 -> 56
    Separable(128),
    Separable(256, stride=2),  # 56 -> 28
    Separable(256),
    Separable(512, stride=2),  # 28 -> 14
    Separable(512),
    Separable(512),
    Separable(512),
    Separable(512),
    Separable(512),
    Separable(1024, stride=2),  # 14 -> 7
    Separable(1024),
)


class MobileNetV1(ImageClassifier):
    """A 3 × 3 stem and depthwise separable convolutions with these final channel counts, then one linear layer."""

    def __init__(
        self,
        stem: int,
        blocks: Sequence[Separable],
        *,
        classes: int,
        in_channels: int,
        dropout: float,
        stem_stride: int = 2,
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["stem"] = ConvNormAct(in_channels, stem, 3, stride=stem_stride, activation="relu6", norm=NORM)
        channels = stem
        for number, block in enumerate(blocks, start=1):
            layers[f"block{number}"] = DepthwiseSeparable(channels, block.out, stride=block.stride, norm=NORM)
            channels = block.out
        classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, classes))
        super().__init__(nn.Sequential(layers), classifier)
        truncated_normal_weights(self, std=0.09)


@register("mobilenet_v1")
def mobilenet_v1(
    *,
    width: float = 1.0,
    classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.001,
    total_stride: int = 32,
) -> MobileNetV1:
    """MobileNetV1; `width` scales every convolution, down to 8 channels at least (section 3.3).

    `total_stride` below 32 keeps more of a small image: the earliest strides are dropped.
    """
    stem_stride, *strides = keep_total_stride([2, *(block.stride for block in BLOCKS)], total_stride)
    blocks = [replace(b, out=_scaled(b.out, width), stride=s) for b, s in zip(BLOCKS, strides, strict=True)]
    return MobileNetV1(
        _scaled(STEM, width),
        blocks,
        classes=classes,
        in_channels=in_channels,
        dropout=dropout,
        stem_stride=stem_stride,
    )


def _scaled(channels: int, width: float) -> int:
    return max(int(channels * width), 8)

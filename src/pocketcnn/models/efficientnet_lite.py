"""EfficientNet-Lite 0 to 4: EfficientNet for devices without squeeze-and-excite and swish.

"EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (Tan and Le, 2019), Table 1, with ReLU6 and
without squeeze-and-excite; stem, last convolution, first and last stage are not scaled. Coefficients, batch norm (eps
1e-3, decay 0.99), initial weights and dropout are those of the authors' code (tensorflow/tpu, efficientnet_lite_builder.py).
"""

import math
from dataclasses import dataclass
from functools import partial

from torch import nn

from pocketcnn.layers import Padding, batch_norm, fan_out_normal_weights, make_divisible

from .bottleneck_plan import Bottleneck, BottleneckPlan
from .image_classifier import ImageClassifier
from .registry import register

NORM = batch_norm(eps=1e-3, decay=0.99)


@dataclass(frozen=True, slots=True)
class Stage:
    """`repeats` inverted residuals of `out` channels; the first has the stride."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    out: int


STEM = 32  # 224 -> 112
STAGES = (
    Stage(1, 3, 1, 1, 16),  # 112
    Stage(2, 3, 2, 6, 24),  # 112 -> 56
    Stage(2, 5, 2, 6, 40),  # 56 -> 28
    Stage(3, 3, 2, 6, 80),  # 28 -> 14
    Stage(3, 5, 1, 6, 112),  # 14
    Stage(4, 5, 2, 6, 192),  # 14 -> 7
    Stage(1, 3, 1, 6, 320),  # 7
)
LAST = 1280


@dataclass(frozen=True, slots=True)
class Variant:
    """Coefficients of width and depth, and the dropout: what makes one network of the family."""

    width: float
    depth: float
    dropout: float


VARIANTS = (  # 0 to 4
    Variant(1.0, 1.0, 0.2),  # 224 x 224
    Variant(1.0, 1.1, 0.2),  # 240 x 240
    Variant(1.1, 1.2, 0.3),  # 260 x 260
    Variant(1.2, 1.4, 0.3),  # 280 x 280
    Variant(1.4, 1.8, 0.3),  # 300 x 300
)


class EfficientNetLite(ImageClassifier):
    """Inverted residuals by plan, mean over the map, dropout, one linear layer."""

    def __init__(self, plan: BottleneckPlan, *, classes: int, in_channels: int, dropout: float) -> None:
        classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(plan.last, classes))
        super().__init__(plan.features(in_channels, NORM), classifier)
        fan_out_normal_weights(self)


def _build(
    variant: Variant,
    *,
    width: float = 1.0,
    classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.2,
    total_stride: int = 32,
    head_width: int | None = None,
    padding: Padding = "symmetric",
) -> EfficientNetLite:
    """One network of the family; `width` multiplies the family's own coefficient.

    `padding` "same" is TensorFlow's, which the published weights were trained with. `total_stride` below 32 keeps more of
    a small image: the earliest strides are dropped. `head_width` sets the width of the last convolution, 1280 in the paper.
    """
    blocks = tuple(_blocks(variant.width * width, variant.depth))
    plan = BottleneckPlan(STEM, blocks, head_width or LAST, activation="relu6", padding=padding)
    return EfficientNetLite(
        plan.with_total_stride(total_stride), classes=classes, in_channels=in_channels, dropout=dropout
    )


def _blocks(width: float, depth: float) -> list[Bottleneck]:
    blocks: list[Bottleneck] = []
    channels = STEM
    for index, stage in enumerate(STAGES):
        inner = 0 < index < len(STAGES) - 1
        out = make_divisible(stage.out * width)
        for repeat in range(math.ceil(stage.repeats * depth) if inner else stage.repeats):
            stride = stage.stride if repeat == 0 else 1
            blocks.append(Bottleneck(channels * stage.expansion, out, stage.kernel, stride))
            channels = out
    return blocks


for _number, _variant in enumerate(VARIANTS):
    register(f"efficientnet_lite{_number}", small_image_head=LAST)(partial(_build, _variant, dropout=_variant.dropout))

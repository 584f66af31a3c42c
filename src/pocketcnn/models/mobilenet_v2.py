"""MobileNetV2: "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (Sandler et al., 2018).

Table 2 of the paper. Batch norm (eps 1e-3, decay 0.997), initial weights (truncated normal, 0.09) and dropout (0.2) are
those of the authors' code (TensorFlow-Slim, mobilenet_v2.py and `training_scope` of mobilenet.py).
"""

from dataclasses import dataclass

from torch import nn

from pocketcnn.layers import batch_norm, make_divisible, truncated_normal_weights

from .bottleneck_plan import Bottleneck, BottleneckPlan
from .image_classifier import ImageClassifier
from .registry import register

NORM = batch_norm(eps=1e-3, decay=0.997)


@dataclass(frozen=True, slots=True)
class Stage:
    """`repeats` inverted residuals of `out` channels; the first has the stride (t, c, n, s in the paper)."""

    expansion: int
    out: int
    repeats: int
    stride: int


STEM = 32  # 224 -> 112
STAGES = (
    Stage(1, 16, 1, 1),  # 112
    Stage(6, 24, 2, 2),  # 112 -> 56
    Stage(6, 32, 3, 2),  # 56 -> 28
    Stage(6, 64, 4, 2),  # 28 -> 14
    Stage(6, 96, 3, 1),  # 14
    Stage(6, 160, 3, 2),  # 14 -> 7
    Stage(6, 320, 1, 1),  # 7
)
LAST = 1280


class MobileNetV2(ImageClassifier):
    """Inverted residuals by plan, mean over the map, dropout, one linear layer."""

    def __init__(self, plan: BottleneckPlan, *, classes: int, in_channels: int, dropout: float) -> None:
        classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(plan.last, classes))
        super().__init__(plan.features(in_channels, NORM), classifier)
        truncated_normal_weights(self, std=0.09)


@register("mobilenet_v2", small_image_head=LAST)
def mobilenet_v2(
    *,
    width: float = 1.0,
    classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.2,
    total_stride: int = 32,
    head_width: int | None = None,
) -> MobileNetV2:
    """MobileNetV2; `width` scales every layer, the last convolution only above 1 (section 6.1).

    `total_stride` below 32 keeps more of a small image: the earliest strides are dropped. `head_width` sets the width
    of the last convolution, 1280 in the paper, most of the weights of a narrow network with few classes.
    """
    last = head_width or make_divisible(LAST * max(1.0, width))
    plan = _plan(width, last).with_total_stride(total_stride)
    return MobileNetV2(plan, classes=classes, in_channels=in_channels, dropout=dropout)


def _plan(width: float, last: int) -> BottleneckPlan:
    stem = channels = make_divisible(STEM * width)
    blocks: list[Bottleneck] = []
    for stage in STAGES:
        out = make_divisible(stage.out * width)
        for repeat in range(stage.repeats):
            stride = stage.stride if repeat == 0 else 1
            blocks.append(Bottleneck(channels * stage.expansion, out, stride=stride))
            channels = out
    return BottleneckPlan(stem, tuple(blocks), last, activation="relu6")

"""MobileNetV3: "Searching for MobileNetV3" (Howard et al., 2019), Large, Small, and the minimalistic forms of both.

Tables 1 and 2 of the paper in its last version: the last 576-wide convolution of Small has no squeeze-and-excite, and
its head is 1024 wide. The minimalistic forms and the widths under a multiplier are those of the authors' code
(TensorFlow-Slim, mobilenet_v3.py), as are the initial weights (truncated normal, 0.09) and batch norm's eps (1e-3);
its decay (0.99) and the dropout (0.2) are the paper's (section 6.1.1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

from torch import nn

from pocketcnn.layers import activation, batch_norm, make_divisible, truncated_normal_weights

from .bottleneck_plan import Bottleneck, BottleneckPlan
from .image_classifier import ImageClassifier
from .registry import register

NORM = batch_norm(eps=1e-3, decay=0.99)


@dataclass(frozen=True, slots=True)
class Row:
    """A row of Table 1 or 2: kernel, expansion size, output, squeeze-and-excite, nonlinearity, stride."""

    kernel: int
    expanded: int
    out: int
    squeeze_excite: bool
    activation: str
    stride: int


@dataclass(frozen=True, slots=True)
class Variant:
    """One network of the paper at width 1."""

    rows: tuple[Row, ...]
    last: int
    """Width of the last convolution before the mean over the map."""
    head: int
    """Width of the layer after it; the width multiplier leaves it as it is."""
    activation: str = "hardswish"

    def minimalistic(self) -> "Variant":
        """No squeeze-and-excite, no hard-swish, no 5 × 5: for devices that lack them or run them slowly."""
        rows = tuple(replace(row, kernel=3, squeeze_excite=False, activation="relu") for row in self.rows)
        return replace(self, rows=rows, activation="relu")


STEM = 16  # 224 -> 112
LARGE = Variant(
    rows=(
        Row(3, 16, 16, False, "relu", 1),  # 112
        Row(3, 64, 24, False, "relu", 2),  # 112 -> 56
        Row(3, 72, 24, False, "relu", 1),
        Row(5, 72, 40, True, "relu", 2),  # 56 -> 28
        Row(5, 120, 40, True, "relu", 1),
        Row(5, 120, 40, True, "relu", 1),
        Row(3, 240, 80, False, "hardswish", 2),  # 28 -> 14
        Row(3, 200, 80, False, "hardswish", 1),
        Row(3, 184, 80, False, "hardswish", 1),
        Row(3, 184, 80, False, "hardswish", 1),
        Row(3, 480, 112, True, "hardswish", 1),
        Row(3, 672, 112, True, "hardswish", 1),
        Row(5, 672, 160, True, "hardswish", 2),  # 14 -> 7
        Row(5, 960, 160, True, "hardswish", 1),
        Row(5, 960, 160, True, "hardswish", 1),
    ),
    last=960,
    head=1280,
)
SMALL = Variant(
    rows=(
        Row(3, 16, 16, True, "relu", 2),  # 112 -> 56
        Row(3, 72, 24, False, "relu", 2),  # 56 -> 28
        Row(3, 88, 24, False, "relu", 1),
        Row(5, 96, 40, True, "hardswish", 2),  # 28 -> 14
        Row(5, 240, 40, True, "hardswish", 1),
        Row(5, 240, 40, True, "hardswish", 1),
        Row(5, 120, 48, True, "hardswish", 1),
        Row(5, 144, 48, True, "hardswish", 1),
        Row(5, 288, 96, True, "hardswish", 2),  # 14 -> 7
        Row(5, 576, 96, True, "hardswish", 1),
        Row(5, 576, 96, True, "hardswish", 1),
    ),
    last=576,
    head=1024,
)


class MobileNetV3(ImageClassifier):
    """Inverted residuals by plan, mean over the map, then two linear layers, the first `head` wide."""

    def __init__(self, plan: BottleneckPlan, head: int, *, classes: int, in_channels: int, dropout: float) -> None:
        classifier = nn.Sequential(
            nn.Linear(plan.last, head),
            activation(plan.activation),
            nn.Dropout(dropout),
            nn.Linear(head, classes),
        )
        super().__init__(plan.features(in_channels, NORM), classifier)
        truncated_normal_weights(self, std=0.09)


def _build(
    variant: Variant,
    *,
    width: float = 1.0,
    classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.2,
    total_stride: int = 32,
    head_width: int | None = None,
) -> MobileNetV3:
    """One variant; `width` scales every layer but the one of `Variant.head` channels, whose width `head_width` sets.

    `total_stride` below 32 keeps more of a small image: the earliest strides are dropped.
    """
    stem = make_divisible(STEM * width)
    last = make_divisible(variant.last * width)
    plan = BottleneckPlan(stem, tuple(_scaled(variant.rows, width)), last, variant.activation)
    return MobileNetV3(
        plan.with_total_stride(total_stride),
        head_width or variant.head,
        classes=classes,
        in_channels=in_channels,
        dropout=dropout,
    )


def _scaled(rows: Sequence[Row], width: float) -> list[Bottleneck]:
    """The rows at a width; a block's expansion keeps its *ratio* to the block's scaled input."""
    blocks: list[Bottleneck] = []
    paper_in, scaled_in = STEM, make_divisible(STEM * width)
    for row in rows:
        expanded = make_divisible(scaled_in * row.expanded / paper_in)
        squeeze = make_divisible(expanded / 4) if row.squeeze_excite else None
        scaled_in, paper_in = make_divisible(row.out * width), row.out
        blocks.append(Bottleneck(expanded, scaled_in, row.kernel, row.stride, row.activation, squeeze))
    return blocks


VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        "mobilenet_v3_large": LARGE,
        "mobilenet_v3_small": SMALL,
        "mobilenet_v3_large_minimalistic": LARGE.minimalistic(),
        "mobilenet_v3_small_minimalistic": SMALL.minimalistic(),
    }
)
for _name, _variant in VARIANTS.items():
    register(_name, small_image_head=_variant.head)(partial(_build, _variant))

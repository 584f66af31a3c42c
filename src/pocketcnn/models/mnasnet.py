"""MnasNet: "MnasNet: Platform-Aware Neural Architecture Search for Mobile" (Tan et al., 2019): A1, B1 and small.

Figure 7 of the paper for A1; the block lists of all three, batch norm (eps 1e-3, decay 0.99), initial weights and
dropout (0.2, none in small) are those of the authors' code (tensorflow/tpu, mnasnet_models.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from torch import nn

from pocketcnn.layers import batch_norm, fan_out_normal_weights, make_divisible

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
    """1: a depthwise separable convolution, without expansion."""
    out: int
    squeeze_excite: bool = False
    """With a hidden width of a quarter of the block's *input*."""
    residual: bool = True


@dataclass(frozen=True, slots=True)
class Variant:
    """One network of the paper at width 1."""

    stem: int
    stages: tuple[Stage, ...]
    dropout: float = 0.2


LAST = 1280
A1 = Variant(  # found with squeeze-and-excite in the search space
    stem=32,  # 224 -> 112
    stages=(
        Stage(1, 3, 1, 1, 16, residual=False),  # 112
        Stage(2, 3, 2, 6, 24),  # 112 -> 56
        Stage(3, 5, 2, 3, 40, squeeze_excite=True),  # 56 -> 28
        Stage(4, 3, 2, 6, 80),  # 28 -> 14
        Stage(2, 3, 1, 6, 112, squeeze_excite=True),  # 14
        Stage(3, 5, 2, 6, 160, squeeze_excite=True),  # 14 -> 7
        Stage(1, 3, 1, 6, 320),  # 7
    ),
)
B1 = Variant(  # without
    stem=32,  # 224 -> 112
    stages=(
        Stage(1, 3, 1, 1, 16, residual=False),  # 112
        Stage(3, 3, 2, 3, 24),  # 112 -> 56
        Stage(3, 5, 2, 3, 40),  # 56 -> 28
        Stage(3, 5, 2, 6, 80),  # 28 -> 14
        Stage(2, 3, 1, 6, 96),  # 14
        Stage(4, 5, 2, 6, 192),  # 14 -> 7
        Stage(1, 3, 1, 6, 320, residual=False),  # 7
    ),
)
SMALL = Variant(  # Table 4
    stem=8,  # 224 -> 112
    stages=(
        Stage(1, 3, 1, 1, 8),  # 112
        Stage(1, 3, 2, 3, 16),  # 112 -> 56
        Stage(2, 3, 2, 6, 16),  # 56 -> 28
        Stage(4, 5, 2, 6, 32, squeeze_excite=True),  # 28 -> 14
        Stage(3, 3, 1, 6, 32, squeeze_excite=True),  # 14
        Stage(3, 5, 2, 6, 88, squeeze_excite=True),  # 14 -> 7
        Stage(1, 3, 1, 6, 144),  # 7
    ),
    dropout=0.0,
)


class MnasNet(ImageClassifier):
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
) -> MnasNet:
    """One variant; `width` scales every layer but the last convolution, whose width `head_width` sets, 1280 in the paper.

    `total_stride` below 32 keeps more of a small image: the earliest strides are dropped.
    """
    plan = _plan(variant, width, head_width or LAST).with_total_stride(total_stride)
    return MnasNet(plan, classes=classes, in_channels=in_channels, dropout=dropout)


def _plan(variant: Variant, width: float, last: int) -> BottleneckPlan:
    stem = channels = make_divisible(variant.stem * width)
    blocks: list[Bottleneck] = []
    for stage in variant.stages:
        for repeat in range(stage.repeats):
            blocks.append(_block(stage, channels, make_divisible(stage.out * width), first=repeat == 0))
            channels = blocks[-1].out
    return BottleneckPlan(stem, tuple(blocks), last, activation="relu")


def _block(stage: Stage, channels: int, out: int, *, first: bool) -> Bottleneck:
    return Bottleneck(
        expanded=channels * stage.expansion,
        out=out,
        kernel=stage.kernel,
        stride=stage.stride if first else 1,
        activation="relu",
        squeeze=max(1, channels // 4) if stage.squeeze_excite else None,
        gate="sigmoid",
        residual=stage.residual,
    )


VARIANTS: Mapping[str, Variant] = MappingProxyType({"mnasnet_a1": A1, "mnasnet_b1": B1, "mnasnet_small": SMALL})
for _name, _variant in VARIANTS.items():
    register(_name, small_image_head=LAST)(partial(_build, _variant, dropout=_variant.dropout))

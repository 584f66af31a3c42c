"""ShuffleNetV2: "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design" (Ma et al., 2018).

Table 5 of the paper. Initial weights are those of the authors' code (megvii-model/ShuffleNet-Series), batch norm's
constants torch's defaults, as there. The authors' classifier has no bias; torchvision's has, and so has this one.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import nn

from pocketcnn.layers import ConvNormAct, ShuffleV2Unit, keep_total_stride, make_divisible, shufflenet_weights

from .image_classifier import ImageClassifier
from .registry import register


@dataclass(frozen=True, slots=True)
class Stage:
    """`repeats` units of `out` channels; the first has stride 2."""

    out: int
    repeats: int


@dataclass(frozen=True, slots=True)
class Plan:
    """One column of Table 5. Stem and max pooling halve the map before the stages: 224 -> 112 -> 56."""

    stages: tuple[Stage, ...]
    last: int
    """Width of the last convolution."""
    stem: int = 24


def _plan(stage2: int, stage3: int, stage4: int, last: int) -> Plan:
    return Plan(
        stages=(
            Stage(stage2, 4),  # 56 -> 28
            Stage(stage3, 8),  # 28 -> 14
            Stage(stage4, 4),  # 14 -> 7
        ),
        last=last,
    )


PLANS: Mapping[float, Plan] = MappingProxyType(
    {
        0.5: _plan(48, 96, 192, 1024),
        1.0: _plan(116, 232, 464, 1024),
        1.5: _plan(176, 352, 704, 1024),
        2.0: _plan(244, 488, 976, 2048),
    }
)


class ShuffleNetV2(ImageClassifier):
    """Stem, max pooling, stages of units, a last 1 × 1 convolution, mean over the map, one linear layer."""

    def __init__(
        self, plan: Plan, *, classes: int, in_channels: int, dropout: float = 0.0, total_stride: int = 32
    ) -> None:
        stem_stride, pool_stride, *strides = keep_total_stride([2, 2, *(2 for _ in plan.stages)], total_stride)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["stem"] = stem = ConvNormAct(in_channels, plan.stem, 3, stride=stem_stride)
        if pool_stride == 2:
            layers["pool"] = nn.MaxPool2d(3, stride=2, padding=1)
        channels = plan.stem
        for number, (stage, stride) in enumerate(zip(plan.stages, strides, strict=True), start=2):
            layers[f"stage{number}"] = _units(channels, stage, stride)
            channels = stage.out
        layers["last"] = ConvNormAct(channels, plan.last, 1)
        super().__init__(nn.Sequential(layers), nn.Sequential(nn.Dropout(dropout), nn.Linear(plan.last, classes)))
        shufflenet_weights(self, first=stem)


def _units(channels: int, stage: Stage, stride: int) -> nn.Sequential:
    first = ShuffleV2Unit(channels, stage.out, stride=stride, split=False)
    return nn.Sequential(first, *(ShuffleV2Unit(stage.out, stage.out) for _ in range(stage.repeats - 1)))


@register("shufflenet_v2", small_image_head=PLANS[1.0].last)
def shufflenet_v2(
    *,
    width: float = 1.0,
    classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.0,
    total_stride: int = 32,
    head_width: int | None = None,
) -> ShuffleNetV2:
    """ShuffleNetV2; the paper has widths 0.5, 1, 1.5 and 2. At any other the stages of 1 are scaled.

    `total_stride` below 32 keeps more of a small image: first the stem's stride is dropped, then the max pooling.
    `head_width` sets the width of the last convolution, 1024 in the paper (2048 at width 2). The authors train width 2
    with a dropout of 0.2.
    """
    plan = PLANS.get(width) or _scaled(width)
    plan = plan if head_width is None else Plan(plan.stages, head_width, plan.stem)
    return ShuffleNetV2(plan, classes=classes, in_channels=in_channels, dropout=dropout, total_stride=total_stride)


def _scaled(width: float) -> Plan:
    stage2 = max(16, make_divisible(PLANS[1.0].stages[0].out * width, 4))
    return _plan(stage2, 2 * stage2, 4 * stage2, 1024 if width < 2 else 2048)

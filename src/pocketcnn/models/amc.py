"""MobileNets pruned by AMC, built from the published channel counts.

"AMC: AutoML for Model Compression and Acceleration on Mobile Devices" (He et al., 2018); the lists are those of the
authors' code (mit-han-lab/amc-models). They serve to check counts against published figures; `create` does not offer
them.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

Pair = tuple[int, int]
"""Expanded width and output of a block."""

HALF_MADDS = (48, 96, 80, 192, 200, 328, 352, 368, 360, 328, 400, 736, 752)
HALF_LATENCY = (48, 88, 80, 192, 168, 336, 360, 360, 352, 352, 368, 768, 680)
V2_70_PERCENT: tuple[Pair, ...] = (
    *((72, 24), (104, 24)),  # 56
    *((104, 32), (136, 32), (136, 32)),  # 28
    *((136, 64), (272, 64), (272, 64), (272, 64), (272, 96), (408, 96), (400, 96)),  # 14
    *((400, 160), (712, 160), (720, 160), (712, 248)),  # 7
)


def pruned_mobilenet_v1(stem: int, widths: Sequence[int]) -> "nn.Module":
    """MobileNetV1 with `stem` channels after the first convolution and one of `widths` after each block."""
    from .mobilenet_v1 import MobileNetV1, Separable

    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]
    blocks = [Separable(out, stride) for out, stride in zip(widths, strides, strict=True)]
    return MobileNetV1(stem, blocks, classes=1000, in_channels=3, dropout=0.0)


def pruned_mobilenet_v2(stem: int, first: int, pairs: Sequence[Pair], last: int) -> "nn.Module":
    """MobileNetV2 whose first block gives `first` channels; `pairs` are those of every block after it."""
    from .bottleneck_plan import Bottleneck, BottleneckPlan
    from .mobilenet_v2 import MobileNetV2

    strides = [1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1]
    widths = [(stem, first), *pairs]
    blocks = [Bottleneck(*width, stride=stride) for width, stride in zip(widths, strides, strict=True)]
    plan = BottleneckPlan(stem, tuple(blocks), last, activation="relu6")
    return MobileNetV2(plan, classes=1000, in_channels=3, dropout=0.0)


NETWORKS: Mapping[str, Callable[[], "nn.Module"]] = MappingProxyType(
    {
        "amc_mobilenet_v1_half_madds": lambda: pruned_mobilenet_v1(24, HALF_MADDS),
        "amc_mobilenet_v1_half_latency": lambda: pruned_mobilenet_v1(16, HALF_LATENCY),
        "amc_mobilenet_v2_70_percent": lambda: pruned_mobilenet_v2(24, 16, V2_70_PERCENT, 848),
    }
)

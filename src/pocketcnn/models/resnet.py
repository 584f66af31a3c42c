"""ResNet: "Deep Residual Learning for Image Recognition" (He et al., 2016): 18, 34, 50 and 101 layers.

Table 1 of the paper. Convolutions start as in its reference [13], N(0, 2 / fan out); batch norm and the linear layer have
torch's constants.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal

from torch import nn

from pocketcnn.layers import BasicUnit, BottleneckUnit, ConvNormAct, he_normal_weights, keep_total_stride

from .image_classifier import ImageClassifier
from .registry import register

Version = Literal["v1", "v1.5"]


@dataclass(frozen=True, slots=True)
class Stage:
    """`repeats` units of `out` channels; the first has the stride."""

    out: int
    repeats: int
    stride: int = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """One column of Table 1. Stem and max pooling halve the map before the stages: 224 -> 112 -> 56."""

    stages: tuple[Stage, ...]
    bottleneck: bool
    """Three convolutions a unit instead of two."""
    stem: int = 64


def _basic(*repeats: int) -> Plan:
    widths = (64, 128, 256, 512)  # 56, 28, 14, 7
    return Plan(_stages(widths, repeats), bottleneck=False)


def _bottleneck(*repeats: int) -> Plan:
    widths = (256, 512, 1024, 2048)  # 56, 28, 14, 7
    return Plan(_stages(widths, repeats), bottleneck=True)


def _stages(widths: tuple[int, ...], repeats: tuple[int, ...]) -> tuple[Stage, ...]:
    strides = (1, 2, 2, 2)
    return tuple(Stage(*row) for row in zip(widths, repeats, strides, strict=True))


BASIC: Mapping[str, Plan] = MappingProxyType({"resnet18": _basic(2, 2, 2, 2), "resnet34": _basic(3, 4, 6, 3)})
BOTTLENECK: Mapping[str, Plan] = MappingProxyType(
    {"resnet50": _bottleneck(3, 4, 6, 3), "resnet101": _bottleneck(3, 4, 23, 3)}
)


class ResNet(ImageClassifier):
    """Stem, max pooling, stages of residual units, mean over the map, one linear layer."""

    def __init__(
        self,
        plan: Plan,
        *,
        classes: int,
        in_channels: int,
        dropout: float = 0.0,
        total_stride: int = 32,
        stride_on_3x3: bool = True,
    ) -> None:
        stem_stride, pool_stride, *strides = keep_total_stride(
            [2, 2, *(stage.stride for stage in plan.stages)], total_stride
        )
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["stem"] = ConvNormAct(in_channels, plan.stem, 7, stride=stem_stride)
        if pool_stride == 2:
            layers["pool"] = nn.MaxPool2d(3, stride=2, padding=1)
        channels = plan.stem
        for number, (stage, stride) in enumerate(zip(plan.stages, strides, strict=True), start=2):
            layers[f"stage{number}"] = _units(plan, channels, stage, stride, stride_on_3x3)
            channels = stage.out
        super().__init__(nn.Sequential(layers), nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, classes)))
        he_normal_weights(self)


def _units(plan: Plan, channels: int, stage: Stage, stride: int, stride_on_3x3: bool) -> nn.Sequential:
    """`stride` may be smaller than the stage's own; the layers, and so the weights, are the same."""

    def unit(channels: int, stride: int, project: bool) -> nn.Module:
        if not plan.bottleneck:
            return BasicUnit(channels, stage.out, stride=stride, project=project)
        return BottleneckUnit(channels, stage.out, stride=stride, project=project, stride_on_3x3=stride_on_3x3)

    first = unit(channels, stride, project=stage.stride != 1 or channels != stage.out)
    return nn.Sequential(first, *(unit(stage.out, 1, project=False) for _ in range(stage.repeats - 1)))


def _build(
    plan: Plan, *, classes: int = 1000, in_channels: int = 3, dropout: float = 0.0, total_stride: int = 32
) -> ResNet:
    """A network of basic units.

    `total_stride` below 32 keeps more of a small image: first the stem's stride is dropped, then the max pooling.
    """
    return ResNet(plan, classes=classes, in_channels=in_channels, dropout=dropout, total_stride=total_stride)


def _build_with_bottlenecks(
    plan: Plan,
    *,
    classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.0,
    total_stride: int = 32,
    version: Version = "v1.5",
) -> ResNet:
    """A network of bottleneck units; `total_stride` as in `_build`.

    In `version` "v1", the paper's, the stride of a unit is on its first convolution, in "v1.5" on its 3 × 3. torchvision's
    and timm's weights are for v1.5.
    """
    return ResNet(
        plan,
        classes=classes,
        in_channels=in_channels,
        dropout=dropout,
        total_stride=total_stride,
        stride_on_3x3=version == "v1.5",
    )


for _name, _plan in BASIC.items():
    register(_name)(partial(_build, _plan))
for _name, _plan in BOTTLENECK.items():
    register(_name)(partial(_build_with_bottlenecks, _plan))

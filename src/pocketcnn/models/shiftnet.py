"""ShiftNet: "Shift: A Zero FLOP, Zero Parameter Alternative to Spatial Convolutions" (Wu et al., 2018).

A, B and C for ImageNet, and ShiftResNet for CIFAR as in the authors' code (alvinwan/shiftresnet-cifar). How a strided
module of ShiftNet joins its input is not in the paper: for A and B the only way that meets the printed parameters and
multiply-adds puts the pooled input behind the new channels; C meets its 0.78 million parameters without. Convolutions
start as in ResNet.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from torch import nn

from pocketcnn.errors import UsageError
from pocketcnn.layers import ConvNormAct, ConvShiftConv, Join, ShiftResidualUnit, he_normal_weights, keep_total_stride

from .image_classifier import ImageClassifier
from .registry import register


@dataclass(frozen=True, slots=True)
class Stage:
    """`repeats` conv-shift-conv modules of `out` channels; the first has stride 2."""

    out: int
    repeats: int
    kernel: int
    """Of the shift."""
    first_expansion: int
    expansion: int
    """Of all modules but the first."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A 7 × 7 stem without batch norm and ReLU, then stages of modules."""

    stem: int
    stages: tuple[Stage, ...]
    strided: Join
    """How the first module of a stage joins its input."""


A = Plan(
    stem=32,  # 224 -> 112
    stages=(
        Stage(64, 5, 5, 4, 4),  # 112 -> 56
        Stage(128, 6, 5, 4, 3),  # 56 -> 28
        Stage(256, 7, 3, 3, 2),  # 28 -> 14
        Stage(512, 3, 3, 2, 1),  # 14 -> 7
    ),
    strided="concat",
)
B = Plan(  # half as wide as A
    stem=16,  # 224 -> 112
    stages=(
        Stage(32, 5, 5, 4, 4),  # 112 -> 56
        Stage(64, 6, 5, 4, 3),  # 56 -> 28
        Stage(128, 7, 3, 3, 2),  # 28 -> 14
        Stage(256, 3, 3, 2, 1),  # 14 -> 7
    ),
    strided="concat",
)
C = Plan(  # few modules; the layout is inferred from the printed parameters
    stem=32,  # 224 -> 112
    stages=(
        Stage(32, 1, 3, 1, 1),  # 112 -> 56
        Stage(64, 4, 3, 1, 1),  # 56 -> 28
        Stage(128, 4, 3, 1, 1),  # 28 -> 14
        Stage(256, 3, 3, 1, 1),  # 14 -> 7
    ),
    strided="replace",
)


class ShiftNet(ImageClassifier):
    """Stem, stages of conv-shift-conv modules, batch norm, ReLU, mean over the map, one linear layer."""

    def __init__(
        self,
        plan: Plan,
        *,
        classes: int,
        in_channels: int,
        dropout: float = 0.0,
        total_stride: int = 32,
        trained_shift: bool = False,
    ) -> None:
        stem_stride, *strides = keep_total_stride([2, *(2 for _ in plan.stages)], total_stride)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["stem"] = nn.Conv2d(in_channels, plan.stem, 7, stem_stride, padding=3, bias=False)
        channels = plan.stem
        for number, (stage, stride) in enumerate(zip(plan.stages, strides, strict=True), start=1):
            layers[f"stage{number}"] = _modules(channels, stage, stride, plan.strided, trained_shift)
            channels = stage.out
        layers["norm"] = nn.BatchNorm2d(channels)
        layers["act"] = nn.ReLU()
        super().__init__(nn.Sequential(layers), nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, classes)))
        he_normal_weights(self)


def _modules(channels: int, stage: Stage, stride: int, strided: Join, trained_shift: bool) -> nn.Sequential:
    first = ConvShiftConv(
        channels,
        stage.out,
        expansion=stage.first_expansion,
        kernel=stage.kernel,
        stride=stride,
        join=strided,
        trained_shift=trained_shift,
    )
    rest = (
        ConvShiftConv(stage.out, stage.out, expansion=stage.expansion, kernel=stage.kernel, trained_shift=trained_shift)
        for _ in range(stage.repeats - 1)
    )
    return nn.Sequential(first, *rest)


def _build(
    plan: Plan,
    *,
    classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.0,
    total_stride: int = 32,
    trained_shift: bool = False,
) -> ShiftNet:
    """One variant; `total_stride` below 32 keeps more of a small image: the earliest strides are dropped.

    `trained_shift` learns the offsets too; `pocketcnn.reparameterize` gives the network with the offsets that were found.
    """
    return ShiftNet(
        plan,
        classes=classes,
        in_channels=in_channels,
        dropout=dropout,
        total_stride=total_stride,
        trained_shift=trained_shift,
    )


PLANS: Mapping[str, Plan] = MappingProxyType({"shiftnet_a": A, "shiftnet_b": B, "shiftnet_c": C})
for _name, _plan in PLANS.items():
    register(_name)(partial(_build, _plan))


WIDTHS = (16, 32, 64)  # 32, 16, 8


class ShiftResNet(ImageClassifier):
    """A 3 × 3 stem, three stages of residual units with a shift in place of the 3 × 3 convolutions, one linear layer."""

    def __init__(
        self,
        repeats: int,
        expansion: int,
        *,
        classes: int,
        in_channels: int,
        dropout: float = 0.0,
        trained_shift: bool = False,
    ) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        channels = WIDTHS[0]
        layers["stem"] = ConvNormAct(in_channels, channels, 3)
        for number, width in enumerate(WIDTHS, start=1):
            changes = width != channels
            unit = partial(ShiftResidualUnit, expansion=expansion, trained_shift=trained_shift)
            first = unit(channels, width, stride=2 if changes else 1, project=changes)
            rest = (unit(width, width) for _ in range(repeats - 1))
            layers[f"stage{number}"] = nn.Sequential(first, *rest)
            channels = width
        super().__init__(nn.Sequential(layers), nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, classes)))
        he_normal_weights(self)


@register("shiftresnet")
def shiftresnet(
    *,
    depth: int = 20,
    expansion: int = 3,
    classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.0,
    trained_shift: bool = False,
) -> ShiftResNet:
    """ShiftResNet for images of about 32 × 32, of 6 n + 2 layers; the paper has 20, 56 and 110 with expansions 1, 3, 6, 9.

    `trained_shift` as in ShiftNet-A.
    """
    repeats, rest = divmod(depth - 2, 6)
    if rest or repeats < 1:
        raise UsageError(f"The depth of a ShiftResNet is 6 n + 2, such as 20, 56 or 110, not {depth}.")
    return ShiftResNet(
        repeats, expansion, classes=classes, in_channels=in_channels, dropout=dropout, trained_shift=trained_shift
    )

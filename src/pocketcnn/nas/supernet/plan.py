"""The supernet as data: its stages and the choices in them.

The stages are those of the MobileNetV3 space of "Once-for-All: Train One Network and Specialize it for Efficient Deployment"
(Cai et al., ICLR 2020), section 3.2: the widths, strides and activations of MobileNetV3-Large, with 2 to 4 blocks per stage,
kernels of 3, 5 or 7, and expansions of 3, 4 or 6.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, Self

from pocketcnn.errors import UsageError
from pocketcnn.layers import keep_total_stride, make_divisible
from pocketcnn.models.bottleneck_plan import Bottleneck, BottleneckPlan
from pocketcnn.models.mobilenet_v3 import MobileNetV3
from pocketcnn.nas.supernet.subnetwork import Block, Subnetwork
from pocketcnn.training import drawn_from


@dataclass(frozen=True, slots=True)
class Stage:
    """Inverted residuals of one width; the first has the stride."""

    out: int
    stride: int
    activation: str
    squeeze_excite: bool


@dataclass(frozen=True)
class SupernetPlan:
    """Everything needed to build a supernet and any of its sub-networks.

    Attributes:
        in_channels, classes: of the task.
        stem, stem_stride: the first convolution, 3x3.
        first: width of the fixed first block, without expansion.
        stages: see `Stage`.
        last, head: widths of the last convolution and of the layer before the classifier.
        sizes: (height, width) of the input images to choose from, the largest first.
        kernels, expansions, depths: the choices, in ascending order; depths are blocks per stage.
        dropout: before the classifier.
        width: the multiplier of the widths, for display.
    """

    in_channels: int
    classes: int
    stem: int
    stem_stride: int
    first: int
    stages: tuple[Stage, ...]
    last: int
    head: int
    sizes: tuple[tuple[int, int], ...]
    kernels: tuple[int, ...] = (3, 5, 7)
    expansions: tuple[int, ...] = (3, 4, 6)
    depths: tuple[int, ...] = (2, 3, 4)
    dropout: float = 0.2
    width: float = 1.0

    def __post_init__(self) -> None:
        for name in ("kernels", "expansions", "depths"):
            values = getattr(self, name)
            if not values or any(one >= other for one, other in pairwise(values)):
                raise UsageError(
                    f"The {name} of a supernet must be one or more numbers in ascending order, not {values}."
                )
        if any(kernel % 2 == 0 or kernel < 1 for kernel in self.kernels):
            raise UsageError(f"The kernels of a supernet must be odd, not {self.kernels}.")
        if self.expansions[0] < 2 or self.depths[0] < 1:
            raise UsageError("The expansions of a supernet must be at least 2, and its stages need at least one block.")
        if not self.stages or not self.sizes:
            raise UsageError("A supernet needs at least one stage and one image size.")

    @property
    def total_stride(self) -> int:
        """The ratio of image size to the size of the last feature map."""
        return self.stem_stride * math.prod(stage.stride for stage in self.stages)

    @property
    def largest(self) -> Subnetwork:
        """The sub-network with all choices at their maximum."""
        return self.uniform(self.sizes[0], self.depths[-1], self.kernels[-1], self.expansions[-1])

    @property
    def smallest(self) -> Subnetwork:
        """The sub-network with all choices at their minimum."""
        return self.uniform(self.sizes[-1], self.depths[0], self.kernels[0], self.expansions[0])

    @property
    def middle(self) -> Subnetwork:
        """The sub-network with all choices at their (lower) median."""
        sizes = self.sizes[::-1]
        return self.uniform(_middle(sizes), _middle(self.depths), _middle(self.kernels), _middle(self.expansions))

    def uniform(self, size: tuple[int, int], depth: int, kernel: int, expansion: int) -> Subnetwork:
        """The sub-network with the same choice in every stage."""
        return Subnetwork(size, ((Block(kernel, expansion),) * depth,) * len(self.stages))

    def check(self, choice: Subnetwork) -> None:
        """Check that this supernet has such a sub-network.

        Raises:
            UsageError: it does not; the message says where.
        """
        if choice.size not in self.sizes:
            known = ", ".join(f"{height}x{width}" for height, width in self.sizes)
            raise UsageError(f"The supernet takes images of {known}, not {choice.size[0]}x{choice.size[1]}.")
        if len(choice.stages) != len(self.stages):
            raise UsageError(f"The supernet has {len(self.stages)} stages, the sub-network {len(choice.stages)}.")
        for number, blocks in enumerate(choice.stages, start=1):
            if len(blocks) not in self.depths:
                raise UsageError(f"Stage {number} may have {_listed(self.depths)} blocks, not {len(blocks)}.")
            for block in blocks:
                if block.kernel not in self.kernels or block.expansion not in self.expansions:
                    raise UsageError(
                        f"Stage {number} has a block {block}; kernels may be {_listed(self.kernels)}, expansions "
                        f"{_listed(self.expansions)}."
                    )

    def restricted(
        self,
        *,
        sizes: tuple[tuple[int, int], ...] | None = None,
        kernels: tuple[int, ...] | None = None,
        expansions: tuple[int, ...] | None = None,
        depths: tuple[int, ...] | None = None,
    ) -> Self:
        """The same supernet with fewer choices; its sub-networks are also sub-networks of this one."""
        return replace(
            self,
            sizes=sizes or self.sizes,
            kernels=kernels or self.kernels,
            expansions=expansions or self.expansions,
            depths=depths or self.depths,
        )

    def bottlenecks(self, choice: Subnetwork) -> BottleneckPlan:
        """The sub-network as a plan of an ordinary network.

        Raises:
            UsageError: there is no such sub-network.
        """
        self.check(choice)
        blocks = [Bottleneck(self.stem, self.first, 3, 1, "relu")]
        width = self.first
        for stage, chosen in zip(self.stages, choice.stages, strict=True):
            for index, block in enumerate(chosen):
                expanded = make_divisible(width * block.expansion)
                squeeze = make_divisible(expanded / 4) if stage.squeeze_excite else None
                stride = stage.stride if index == 0 else 1
                blocks.append(Bottleneck(expanded, stage.out, block.kernel, stride, stage.activation, squeeze))
                width = stage.out
        return BottleneckPlan(self.stem, tuple(blocks), self.last, "hardswish", self.stem_stride)

    def build(self, choice: Subnetwork, seed: int = 0) -> MobileNetV3:
        """The sub-network as an ordinary network with new weights from `seed`.

        Raises:
            UsageError: there is no such sub-network.
        """
        with drawn_from(seed):
            return MobileNetV3(
                self.bottlenecks(choice),
                self.head,
                classes=self.classes,
                in_channels=self.in_channels,
                dropout=self.dropout,
            )

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Restore what `as_dict` returned, also after JSON.

        Raises:
            UsageError: the data has another form.
        """
        fields = dict(data)
        try:
            fields["stages"] = tuple(Stage(**stage) for stage in fields["stages"])
            fields["sizes"] = tuple((int(height), int(width)) for height, width in fields["sizes"])
            for name in ("kernels", "expansions", "depths"):
                fields[name] = tuple(map(int, fields[name]))
            return cls(**fields)
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"The data does not describe a supernet: {error}.") from error


STAGES = (
    Stage(24, 2, "relu", False),
    Stage(40, 2, "relu", True),
    Stage(80, 2, "hardswish", False),
    Stage(112, 1, "hardswish", True),
    Stage(160, 2, "hardswish", True),
)
"""The stages of the paper, at width 1."""

SMALL_LAST, SMALL_HEAD = 480, 320
"""For few classes. The paper's 960 and 1280 are for 1000 classes, and every sub-network has these layers."""


def mobilenet_supernet(
    *,
    width: float,
    in_channels: int,
    classes: int,
    sizes: tuple[tuple[int, int], ...],
    total_stride: int = 32,
    small: bool = False,
) -> SupernetPlan:
    """The paper's supernet at a width multiplier, which scales all layers; otherwise the last one would dominate a narrow
    network.

    Args:
        width: the width multiplier.
        in_channels, classes: of the task.
        sizes: of the images, the largest first.
        total_stride: values below 32 drop the earliest strides, for small images.
        small: for small images and few classes: 1 to 3 blocks per stage, kernels of 3 and 5 (7 would exceed the maps), and
            narrower layers before the classifier.
    """
    stem_stride, *strides = keep_total_stride((2, *(stage.stride for stage in STAGES)), total_stride)
    stages = [
        replace(stage, out=make_divisible(stage.out * width), stride=stride)
        for stage, stride in zip(STAGES, strides, strict=True)
    ]
    plan = SupernetPlan(
        in_channels=in_channels,
        classes=classes,
        stem=make_divisible(16 * width),
        stem_stride=stem_stride,
        first=make_divisible(16 * width),
        stages=tuple(stages),
        last=make_divisible((SMALL_LAST if small else 960) * width),
        head=make_divisible((SMALL_HEAD if small else 1280) * width),
        sizes=sizes,
        width=width,
    )
    return plan.restricted(kernels=(3, 5), depths=(1, 2, 3)) if small else plan


def _middle(values: tuple[Any, ...]) -> Any:
    return values[(len(values) - 1) // 2]


def _listed(values: tuple[int, ...]) -> str:
    return " or ".join(map(str, values))

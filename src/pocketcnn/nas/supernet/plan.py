"""The supernet as data: its stages, and what may be chosen in them.

The stages are those of the MobileNetV3 space of "Once-for-All: Train One Network and Specialize it for Efficient
Deployment" (Cai et al., ICLR 2020), section 3.2: MobileNetV3-Large's widths, strides and activations, where each stage may have
2 to 4 blocks, each with a kernel of 3, 5 or 7 and an expansion of 3, 4 or 6.
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
    """Inverted residuals of one width; the first of them has the stride."""

    out: int
    stride: int
    activation: str
    squeeze_excite: bool


@dataclass(frozen=True)
class SupernetPlan:
    """Everything that builds a supernet, and any of its sub-networks.

    Attributes:
        stem, stem_stride: the first convolution, 3x3.
        first: width of the one block that is always the same, without expansion.
        last, head: widths of the last convolution and of the layer before the classifier.
        sizes: (height, width) of the images that sub-networks may take, the largest first.
        kernels, expansions, depths: what may be chosen, in ascending order; depths are of a stage.
        width: the multiplier that the widths come from, for people.
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
                raise UsageError(f"The {name} of a supernet are one or more numbers in ascending order, not {values}.")
        if any(kernel % 2 == 0 or kernel < 1 for kernel in self.kernels):
            raise UsageError(f"The kernels of a supernet are odd, not {self.kernels}.")
        if self.expansions[0] < 2 or self.depths[0] < 1:
            raise UsageError("The expansions of a supernet are 2 or more, and its stages have at least one block.")
        if not self.stages or not self.sizes:
            raise UsageError("A supernet has at least one stage and one size of its images.")

    @property
    def total_stride(self) -> int:
        """How much smaller the last feature map is than the image."""
        return self.stem_stride * math.prod(stage.stride for stage in self.stages)

    @property
    def largest(self) -> Subnetwork:
        """Everything as large as it may be."""
        return self.uniform(self.sizes[0], self.depths[-1], self.kernels[-1], self.expansions[-1])

    @property
    def smallest(self) -> Subnetwork:
        """Everything as small as it may be."""
        return self.uniform(self.sizes[-1], self.depths[0], self.kernels[0], self.expansions[0])

    @property
    def middle(self) -> Subnetwork:
        """The lower one of the middle values everywhere."""
        sizes = self.sizes[::-1]
        return self.uniform(_middle(sizes), _middle(self.depths), _middle(self.kernels), _middle(self.expansions))

    def uniform(self, size: tuple[int, int], depth: int, kernel: int, expansion: int) -> Subnetwork:
        """The same choice in every stage."""
        return Subnetwork(size, ((Block(kernel, expansion),) * depth,) * len(self.stages))

    def check(self, choice: Subnetwork) -> None:
        """Whether this supernet has such a sub-network.

        Raises:
            UsageError: it has not; the message says where.
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
        """The same supernet with less to choose from: its choices are choices of this one, too."""
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
            for place, block in enumerate(chosen):
                expanded = make_divisible(width * block.expansion)
                squeeze = make_divisible(expanded / 4) if stage.squeeze_excite else None
                stride = stage.stride if place == 0 else 1
                blocks.append(Bottleneck(expanded, stage.out, block.kernel, stride, stage.activation, squeeze))
                width = stage.out
        return BottleneckPlan(self.stem, tuple(blocks), self.last, "hardswish", self.stem_stride)

    def build(self, choice: Subnetwork, seed: int = 0) -> MobileNetV3:
        """The sub-network as an ordinary network with fresh weights from `seed`.

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
        """As JSON takes it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The plan that `as_dict` wrote, also after it went through JSON.

        Raises:
            UsageError: it is not of that form.
        """
        fields = dict(data)
        try:
            fields["stages"] = tuple(Stage(**stage) for stage in fields["stages"])
            fields["sizes"] = tuple((int(height), int(width)) for height, width in fields["sizes"])
            for name in ("kernels", "expansions", "depths"):
                fields[name] = tuple(map(int, fields[name]))
            return cls(**fields)
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(f"This is not the plan of a supernet: {error}.") from error


STAGES = (
    Stage(24, 2, "relu", False),
    Stage(40, 2, "relu", True),
    Stage(80, 2, "hardswish", False),
    Stage(112, 1, "hardswish", True),
    Stage(160, 2, "hardswish", True),
)
"""Of the paper, at width 1."""

SMALL_LAST, SMALL_HEAD = 480, 320
"""For few classes: the paper's 960 and 1280 are for 1000, and no sub-network is without them."""


def mobilenet_supernet(
    *,
    width: float,
    in_channels: int,
    classes: int,
    sizes: tuple[tuple[int, int], ...],
    total_stride: int = 32,
    small: bool = False,
) -> SupernetPlan:
    """The paper's supernet at a width, which here scales all layers: the last one would be most of a narrow network.

    Args:
        sizes: of the images, the largest first.
        total_stride: below 32 keeps more of a small image: the earliest strides are dropped.
        small: for small images and few classes: stages of 1 to 3 blocks, kernels of 3 and 5 (one of 7 would be larger than
            the maps), and narrower layers before the classifier.
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

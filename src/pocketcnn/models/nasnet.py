"""NASNet-A: "Learning Transferable Architectures for Scalable Image Recognition" (Zoph et al., 2018), mobile and large.

Figure 4 of the paper. How the cells are joined, batch norm (eps 1e-3, decay 0.9997), initial weights, dropout, drop-path and
the auxiliary head are those of the authors' code (TensorFlow-Slim, nets/nasnet).
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import torch
from torch import Tensor, nn

from pocketcnn.layers import AuxiliaryClassifier, Padding, fan_out_truncated_weights

from .image_classifier import ImageClassifier, reset_last_layer
from .nasnet_cells import NORM, NORMAL, REDUCTION, Cell, CellPlan, Map, Style
from .registry import register


@dataclass(frozen=True, slots=True)
class Plan:
    """One network: `cells` normal cells in three equal parts with reduction cells between, after two stem cells."""

    stem: int
    """Width of the first convolution, 3 x 3 with stride 2 and without padding."""
    filters: int
    """Width of every operation in the first part; each reduction cell doubles it, the stem cells have a quarter and half."""
    cells: int
    skips_reduction_input: bool
    """Whether the cell after a reduction reads what came before the reduction cell's input, not that input."""
    auxiliary_map: int
    """Side of the map that the auxiliary head sees at the paper's image size."""
    drop_path: float = 0.0
    """In the last cell at the end of the authors' training."""


# "4 @ 1056", 224 x 224
MOBILE = Plan(stem=32, filters=44, cells=12, skips_reduction_input=False, auxiliary_map=4)
# "6 @ 4032", 331 x 331
LARGE = Plan(stem=96, filters=168, cells=18, skips_reduction_input=True, auxiliary_map=6, drop_path=0.3)


class Features(nn.Module):
    """Stem, stem cells, cells, ReLU: (N, in_channels, H, W) -> (N, 24 · filters, about H / 32, about W / 32)."""

    def __init__(self, plan: Plan, in_channels: int, style: Style, drop_path: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, plan.stem, 3, stride=2, bias=False)
        self.norm = NORM(plan.stem)
        self.cells = nn.ModuleDict()
        self.back: dict[str, int] = {}
        """For each cell how far before its output the earlier map is that it reads: 2, but for the ends of the plan."""
        maps = [Map(plan.stem, 1)]
        for name, kind, filters, back in _order(plan):
            before = maps[-back] if back > 1 else None
            depth = (len(self.cells) + 1) / (plan.cells + 4)
            self.cells[name] = Cell(kind, maps[-1], before, filters, style, drop_path * depth)
            self.back[name] = back
            maps.append(Map(len(kind.outputs) * filters, maps[-1].halvings + kind.stride - 1))
        self.channels = maps[-1].channels
        self.auxiliary_cell = f"cell{plan.cells * 2 // 3 - 1}"
        self.auxiliary_channels = 6 * 2 * plan.filters
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.with_auxiliary(x)[0]

    def with_auxiliary(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The features, and the map before the second reduction cell that the auxiliary head works on."""
        maps = [self.norm(self.conv(x))]
        auxiliary = maps[0]
        for name, cell in self.cells.items():
            maps.append(cell(maps[-1], maps[-self.back[name]]))
            del maps[:-3]  # nobody reads further back
            if name == self.auxiliary_cell:
                auxiliary = maps[-1]
        return self.act(maps[-1]), auxiliary


def _order(plan: Plan) -> list[tuple[str, CellPlan, int, int]]:
    """Name, kind, filters of every cell, and how far back its earlier input is."""
    cells = [("stem0", REDUCTION, plan.filters // 4, 1), ("stem1", REDUCTION, plan.filters // 2, 2)]
    filters = plan.filters
    for number in range(plan.cells):
        back = 2
        if number in (plan.cells // 3, 2 * plan.cells // 3):
            filters *= 2
            cells.append((f"reduction{2 * number // plan.cells}", REDUCTION, filters, 2))
            back = 3 if plan.skips_reduction_input else 2
        cells.append((f"cell{number}", NORMAL, filters, back))
    return cells


AUXILIARY_WEIGHT = 0.4
"""Of the auxiliary head's loss (appendix A.7)."""


class AuxiliaryHead(nn.Sequential):
    """A second classifier in the middle of the network."""

    def __init__(self, channels: int, side: int, classes: int) -> None:
        super().__init__(
            OrderedDict(
                act=nn.ReLU(),
                pool=AuxiliaryPool(5, stride=3),
                resize=nn.AdaptiveAvgPool2d(side),  # nothing to do at the paper's image size
                project=nn.Conv2d(channels, 128, 1, bias=False),
                norm1=NORM(128),
                act1=nn.ReLU(),
                whole=nn.Conv2d(128, 768, side, bias=False),
                norm2=NORM(768),
                act2=nn.ReLU(),
                flatten=nn.Flatten(),
                linear=nn.Linear(768, classes),
            )
        )


class AuxiliaryPool(nn.AvgPool2d):
    """The average pooling of the auxiliary head; a map smaller than its window, of a small image, is left as it is."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if min(x.shape[2:]) >= self.kernel_size else x  # type: ignore[operator]


class NASNet(ImageClassifier, AuxiliaryClassifier):
    """Cells by plan, mean over the map, dropout, one linear layer; `auxiliary` is the auxiliary head, if there is one."""

    features: Features

    def __init__(
        self,
        plan: Plan,
        *,
        classes: int,
        in_channels: int,
        dropout: float,
        drop_path: float = 0.0,
        style: Style | None = None,
        auxiliary_head: bool = False,
    ) -> None:
        features = Features(plan, in_channels, style or Style(), drop_path)
        super().__init__(features, nn.Sequential(nn.Dropout(dropout), nn.Linear(features.channels, classes)))
        self.auxiliary: AuxiliaryHead | None = None
        if auxiliary_head:
            self.auxiliary = AuxiliaryHead(features.auxiliary_channels, plan.auxiliary_map, classes)
        fan_out_truncated_weights(self)

    @property
    def auxiliary_weight(self) -> float:
        return 0.0 if self.auxiliary is None else AUXILIARY_WEIGHT

    def forward_with_auxiliary(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """For training: the logits, and those of the auxiliary head, each (N, classes).

        Raises:
            TypeError: the network was built without the auxiliary head.
        """
        if self.auxiliary is None:
            raise TypeError("This NASNet has no auxiliary head: build it with auxiliary_head=True.")
        features, middle = self.features.with_auxiliary(x)
        return self.classifier(torch.flatten(self.pool(features), 1)), self.auxiliary(middle)

    def reset_classifier(self, classes: int) -> None:
        """Replace the last linear layer, of the auxiliary head too; everything else keeps its weights."""
        super().reset_classifier(classes)
        if self.auxiliary is not None:
            reset_last_layer(self.auxiliary, len(self.auxiliary) - 1, classes)


WITH_AUXILIARY: Mapping[str, object] = MappingProxyType({"auxiliary_head": True})


def _build(
    plan: Plan,
    *,
    classes: int = 1000,
    in_channels: int = 3,
    dropout: float = 0.5,
    drop_path: float = 0.0,
    padding: Padding = "symmetric",
    auxiliary_head: bool = False,
) -> NASNet:
    """One variant.

    `drop_path` is the probability in the last cell at the end of the training; it grows with depth, and with progress if the
    training calls `pocketcnn.layers.set_progress`. `padding` "same" is TensorFlow's. `auxiliary_head` adds the paper's
    second classifier, see `NASNet.forward_with_auxiliary`; it plays no part in inference.
    """
    return NASNet(
        plan,
        classes=classes,
        in_channels=in_channels,
        dropout=dropout,
        drop_path=drop_path,
        style=Style(padding),
        auxiliary_head=auxiliary_head,
    )


PLANS: Mapping[str, Plan] = MappingProxyType({"nasnet_mobile": MOBILE, "nasnet_large": LARGE})
for _name, _plan in PLANS.items():
    register(_name, training=WITH_AUXILIARY, smallest_side=3)(partial(_build, _plan, drop_path=_plan.drop_path))

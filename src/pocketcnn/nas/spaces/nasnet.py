"""NASNet's space: a normal and a reduction cell of five blocks, searched on small images and transferred to larger networks.

"Learning Transferable Architectures for Scalable Image Recognition" (Zoph et al., 2018), section 3.1. Each block chooses two
earlier feature maps, an operation for each, and how the results are joined. Maps that no block reads form the cell's output.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from torch import Tensor, nn

from pocketcnn.layers import fan_out_truncated_weights, make_divisible
from pocketcnn.models.image_classifier import ImageClassifier
from pocketcnn.models.nasnet_cells import NORM, Block, Cell, CellPlan, Map, Operation, Style
from pocketcnn.nas.space import Choice, Decision, Point, Space, Task, check_decisions

OPERATIONS: tuple[Operation, ...] = (
    "identity", "conv1x3_3x1", "conv1x7_7x1", "dil3", "avg3", "max3", "max5", "max7", "conv1", "conv3", "sep3", "sep5", "sep7",
)  # fmt: skip
"""The thirteen operations of the paper, in its order."""

JOINS = ("add", "concat")
CELLS = ("normal", "reduction")
BLOCKS = 5
FILTERS = 32
"""Filters at width 1, as in the paper's searches on CIFAR-10."""

PARTS = 3
"""The normal cells form so many equal parts, with a reduction cell between them."""

SEARCH_CELLS = 2
"""Normal cells per part during the search: N = 2 in the paper."""

TRANSFERS = ((4, 1.0), (2, 1.5), (6, 1.0), (4, 1.5), (6, 1.5), (4, 2.0), (6, 2.0))
"""(cells per part, width factor) of the networks to which found cells are transferred; the paper uses 6 cells and 32 filters
on CIFAR-10."""


class CellNetwork(ImageClassifier):
    """A stem, cells of two plans, global average pooling, dropout, and one linear layer."""

    def __init__(
        self,
        normal: CellPlan,
        reduction: CellPlan,
        task: Task,
        *,
        cells: int,
        filters: int,
        dropout: float = 0.0,
        drop_path: float = 0.0,
    ) -> None:
        features = CellFeatures(normal, reduction, task, cells=cells, filters=filters, drop_path=drop_path)
        head = nn.Sequential(nn.Dropout(dropout), nn.Linear(features.channels, task.classes))
        super().__init__(features, head)
        fan_out_truncated_weights(self)


class CellFeatures(nn.Module):
    """(N, C, H, W) -> (N, `channels`, h, w).

    For small images this is the paper's network for CIFAR-10, in which only reduction cells downsample. Large images first
    pass a strided convolution and two reduction cells, as in the network for ImageNet.
    """

    def __init__(
        self, normal: CellPlan, reduction: CellPlan, task: Task, *, cells: int, filters: int, drop_path: float
    ) -> None:
        super().__init__()
        stem = filters if task.is_small else make_divisible(filters * 0.75)
        self.stem = nn.Sequential(
            OrderedDict(
                conv=nn.Conv2d(task.channels, stem, 3, stride=1 if task.is_small else 2, padding=1, bias=False),
                norm=NORM(stem),
            )
        )
        order = list(_order(normal, reduction, cells, filters, with_stem_cells=not task.is_small))
        maps = [Map(stem, 0 if task.is_small else 1)] * 2
        self.cells = nn.ModuleDict()
        for number, (name, plan, width) in enumerate(order, 1):
            self.cells[name] = Cell(plan, maps[-1], maps[-2], width, Style(), drop_path * number / len(order))
            maps.append(Map(len(plan.outputs) * width, maps[-1].halvings + plan.stride - 1))
        self.channels = maps[-1].channels
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        present = before = self.stem(x)
        for cell in self.cells.values():
            present, before = cell(present, before), present
        return cast(Tensor, self.act(present))


def _order(
    normal: CellPlan, reduction: CellPlan, cells: int, filters: int, *, with_stem_cells: bool
) -> list[tuple[str, CellPlan, int]]:
    """Name, plan and width of every cell."""
    order = []
    if with_stem_cells:
        order += [("stem0", reduction, max(2, filters // 4 // 2 * 2)), ("stem1", reduction, filters // 2 // 2 * 2)]
    for part in range(PARTS):
        if part:
            order.append((f"reduction{part}", reduction, filters * 2**part))
        order += [(f"cell{part * cells + number}", normal, filters * 2**part) for number in range(cells)]
    return order


@dataclass(frozen=True)
class NasnetSpace(Space):
    """Two cells of `blocks` blocks, in networks of `cells` normal cells per part and `filters` filters in the first part."""

    cells: int = SEARCH_CELLS
    filters: int = FILTERS
    blocks: int = BLOCKS
    operations: tuple[Operation, ...] = OPERATIONS
    drop_path: float = 0.0
    name: str = "nasnet"
    transfers: bool = True
    """Whether larger networks of the same cells are offered; False for those themselves."""

    @property
    def reference(self) -> Mapping[str, Choice]:
        return {"name": self.name, "cells": self.cells, "filters": self.filters}

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        return check_decisions(
            [
                decision
                for cell in CELLS
                for number in range(1, self.blocks + 1)
                for decision in self._block_decisions(cell, number)
            ]
        )

    def _block_decisions(self, cell: str, number: int) -> list[Decision]:
        name = f"{cell}.block{number}"
        inputs: tuple[Choice, ...] = ("present", "before", *(f"block{earlier}" for earlier in range(1, number)))
        return [
            Decision(f"{name}.left_input", inputs),
            Decision(f"{name}.right_input", inputs),
            Decision(f"{name}.left", self.operations),
            Decision(f"{name}.right", self.operations),
            Decision(f"{name}.join", JOINS),
        ]

    def representative(self, point: Point) -> Point:
        """The two sides of a block are interchangeable: the earlier input, then the earlier operation, goes to the left."""
        found = dict(point)
        by_name = {decision.name: decision for decision in self.decisions}
        for cell in CELLS:
            for number in range(1, self.blocks + 1):
                name = f"{cell}.block{number}"
                sides = [
                    (
                        by_name[f"{name}.{side}_input"].index(point[f"{name}.{side}_input"]),
                        self.operations.index(cast(Operation, point[f"{name}.{side}"])),
                    )
                    for side in ("left", "right")
                ]
                if sides[1] < sides[0]:
                    for end in ("", "_input"):
                        left, right = f"{name}.left{end}", f"{name}.right{end}"
                        found[left], found[right] = point[right], point[left]
        return found

    def build(self, point: Point, task: Task) -> nn.Module:
        normal, reduction = (self.plan(point, cell) for cell in CELLS)
        return CellNetwork(normal, reduction, task, cells=self.cells, filters=self.filters, drop_path=self.drop_path)

    def plan(self, point: Point, cell: str) -> CellPlan:
        """One of the two cells of a point."""
        blocks = []
        for number in range(1, self.blocks + 1):
            name = f"{cell}.block{number}"
            left, right = (self._source(point[f"{name}.{side}_input"]) for side in ("left", "right"))
            operations = [cast(Operation, point[f"{name}.{side}"]) for side in ("left", "right")]
            blocks.append(Block(operations[0], left, operations[1], right, concat=point[f"{name}.join"] == "concat"))
        read = {source for block in blocks for source in (block.left_input, block.right_input)}
        outputs = tuple(index for index in range(2, self.blocks + 2) if index not in read)
        return CellPlan(tuple(blocks), outputs, stride=2 if cell == "reduction" else 1)

    def _source(self, name: Choice) -> int:
        return {"present": 0, "before": 1}[str(name)] if name in ("present", "before") else int(str(name)[5:]) + 1

    def larger(self) -> tuple[Space, ...]:
        if not self.transfers:
            return ()
        return tuple(
            NasnetSpace(
                cells,
                make_divisible(self.filters * wider, 4),
                self.blocks,
                self.operations,
                self.drop_path,
                self.name,
                transfers=False,
            )
            for cells, wider in TRANSFERS
        )

    def describe(self, point: Point) -> list[str]:
        lines = [f"{self.cells} normal cells in each of {PARTS} parts, {self.filters} filters in the first"]
        for cell in CELLS:
            for number in range(1, self.blocks + 1):
                name = f"{cell}.block{number}"
                left, right = (
                    f"{point[f'{name}.{side}']}({point[f'{name}.{side}_input']})" for side in ("left", "right")
                )
                sign = "+" if point[f"{name}.join"] == "add" else "concat"
                lines.append(f"{cell} block {number}: {left} {sign} {right}")
        return lines


def nasnet(width: float = 1.0) -> NasnetSpace:
    """NASNet's cells in networks of N = 2 normal cells per part and 32 · `width` filters, as they are searched."""
    return NasnetSpace(filters=max(4, make_divisible(FILTERS * width, 4)))

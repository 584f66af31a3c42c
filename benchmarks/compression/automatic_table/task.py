"""One cell of the grid: a trained network, the images, and what its narrowed forms may use."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.compression.automatic_table.material import Images
from benchmarks.compression.automatic_table.setting import Setting
from pocketcnn.compression.pruning.allocation import Sensitivity
from pocketcnn.compression.pruning.bounds import Measure, table_latency_of
from pocketcnn.compression.pruning.prune import PruneSettings
from pocketcnn.compression.pruning.resource import MADDS, Resource, latency_on
from pocketcnn.compression.pruning.short_fine_tuning import HeldOutImages
from pocketcnn.compression.pruning.space import PruningSpace
from pocketcnn.errors import PocketcnnError
from pocketcnn.graph import Graph, GraphNetwork, capture

TARGET = "onnxruntime-cpu"
CRITERION = "energy"
"""What decides within a layer, the same for all of ours."""

Sensitivities = dict[str, tuple[Sensitivity, float]]
"""By unpruned network, how sensitive its layers are, and the seconds that it took to find out; filled by the first cell."""


def table_clock() -> Measure | None:
    """Predicts latencies on the target; None without its latency table."""
    try:
        return table_latency_of(TARGET)
    except PocketcnnError:
        return None


@dataclass(frozen=True)
class Cell:
    """A question of the grid: which network on which images, how much of what, drawn from which seed."""

    dataset: str
    network: str
    resource: str
    share: float
    seed: int

    @property
    def key(self) -> str:
        return f"{self.dataset} {self.network} {self.resource} {self.share:g} {self.seed}"

    @property
    def trained(self) -> str:
        """Names the unpruned network, which cells of all resources and shares have in common."""
        return f"{self.dataset} {self.network} {self.seed}"


@dataclass(frozen=True)
class Task:
    """What every method is given."""

    cell: Cell
    setting: Setting
    data: Images
    module: nn.Module
    """The trained network as its source has it."""
    parent: GraphNetwork
    resource: Resource
    bound: float
    sensitivities: Sensitivities = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    """What the method that runs has to say beside its network."""

    @classmethod
    def of(
        cls,
        cell: Cell,
        setting: Setting,
        data: Images,
        module: nn.Module,
        sensitivities: Sensitivities | None = None,
    ) -> "Task":
        """The question of a cell about a trained network; `sensitivities` are those that earlier cells found out."""
        parent = GraphNetwork(capture(module, (1, 1, setting.side, setting.side))).eval()
        resource = MADDS if cell.resource == "madds" else latency_on(TARGET)
        bound = cell.share * resource.use(parent.graph)
        known = {} if sensitivities is None else sensitivities
        return cls(cell, setting, data, module, parent, resource, bound, known)

    def fits(self, graph: Graph) -> bool:
        """Whether a graph keeps the bound."""
        return self.resource.use(graph) <= self.bound

    @property
    def channels(self) -> PruneSettings:
        """Which channels of a layer go, and which widths it may have."""
        return PruneSettings(CRITERION, multiple=self.setting.multiple, min_channels=self.setting.multiple, floor=0.1)

    @cached_property
    def batches(self) -> Sequence[tuple[Tensor, Tensor]]:
        """Labelled training images, for what channels are worth."""
        found, labels = self.data.evidence
        return list(zip(torch.split(found, 64), torch.split(labels, 64), strict=True))

    @property
    def statistics(self) -> Tensor:
        """Training images that give batch norms their statistics again."""
        return self.data.evidence[0][:128]

    @cached_property
    def held_out(self) -> HeldOutImages:
        """The validation images."""
        return HeldOutImages(*self.data.val.tensors)

    @cached_property
    def space(self) -> PruningSpace:
        """All the ways to narrow the parent."""
        return PruningSpace.of(self.parent.graph, self.resource, self.channels, self.batches)

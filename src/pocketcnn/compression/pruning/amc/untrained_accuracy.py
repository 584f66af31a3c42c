"""How good a narrowed network would be, judged without training it."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from pocketcnn.compression.pruning.reconstruction import reconstruct
from pocketcnn.compression.pruning.schedule import Counts
from pocketcnn.compression.pruning.short_fine_tuning import HeldOutImages
from pocketcnn.compression.pruning.space import PruningSpace
from pocketcnn.graph import GraphNetwork, ModelInfo
from pocketcnn.training import recalibrate
from pocketcnn.training.devices import choose_device, placed


@dataclass(frozen=True)
class UntrainedAccuracy:
    """The accuracy of a network of `space` on `held_out`, with its batch norms, or its layers, fitted to `images` first.

    Attributes:
        images: (N, C, H, W), without labels.
        repair: ``statistics``, batch norms average anew over the images; ``layers``, each layer that has lost inputs is
            fitted by least squares to what it answered before (the paper's section 3.1, after He et al., 2017), which takes
            many times as long; ``auto``, the statistics where there are any.
        device: where networks are looked at.
    """

    space: PruningSpace
    held_out: HeldOutImages
    images: Tensor
    repair: Literal["auto", "statistics", "layers"] = "auto"
    device: str = "auto"

    def __call__(self, counts: Counts) -> float:
        return self.held_out.accuracy(self.network(counts), self.device)

    def network(self, counts: Counts, info: ModelInfo | None = None) -> GraphNetwork:
        """The narrowed and repaired network."""
        graph = self.space.cut(counts)
        if self.repair == "layers" or (self.repair == "auto" and not self._has_statistics):
            graph = reconstruct(
                self.space.graph, graph, self.space.coupling, self.space.order.classes(counts), self.images
            )
        network = GraphNetwork(graph, info)
        with placed(network, choose_device(self.device), training=False):
            recalibrate(network, self.images)
        return network

    @property
    def _has_statistics(self) -> bool:
        return any(node.op == "batch_norm" for node in self.space.graph.nodes)

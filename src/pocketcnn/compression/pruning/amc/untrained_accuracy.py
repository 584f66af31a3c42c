"""The accuracy of a pruned network without fine-tuning, as the AMC agent is rewarded with."""

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
    """The accuracy of a pruned network on `held_out`, after batch norms are recalibrated or layers reconstructed on `images`.

    Attributes:
        space: the pruning space.
        held_out: labelled validation images.
        images: (N, C, H, W), without labels.
        repair: ``statistics`` recalibrates batch norms. ``layers`` reconstructs each layer that lost inputs by least squares
            (AMC, section 3.1, after He et al., 2017), which takes many times as long. ``auto`` recalibrates if the network
            has batch norms, else reconstructs.
        device: where networks are evaluated.
    """

    space: PruningSpace
    held_out: HeldOutImages
    images: Tensor
    repair: Literal["auto", "statistics", "layers"] = "auto"
    device: str = "auto"

    def __call__(self, counts: Counts) -> float:
        return self.held_out.accuracy(self.network(counts), self.device)

    def network(self, counts: Counts, info: ModelInfo | None = None) -> GraphNetwork:
        """The pruned network after recalibration or reconstruction."""
        graph = self.space.prune(counts)
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

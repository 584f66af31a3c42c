"""What every method is given, and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from pocketcnn.cost.counting import total_madds
from pocketcnn.graph import Graph, GraphNetwork

BATCH = 64


class Failed(Exception):
    """A method could not prune the network to the bound; the message says why."""


@dataclass(frozen=True)
class Task:
    """A trained network as its source has it and as it was captured, labelled images, and the multiply-adds to keep."""

    module: nn.Module
    parent: GraphNetwork
    images: Tensor
    labels: Tensor
    share: float
    multiple: int
    seed: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one image with a batch axis."""
        return (1, *self.parent.graph.input_shape)

    @property
    def batches(self) -> list[tuple[Tensor, Tensor]]:
        """The images in batches, for criteria that look at them."""
        return list(zip(self.images.split(BATCH), self.labels.split(BATCH), strict=True))

    def fits(self, graph: Graph) -> bool:
        """Whether `graph` keeps the bound."""
        return total_madds(graph) <= self.share * total_madds(self.parent.graph)


Method = Callable[[Task], Graph]

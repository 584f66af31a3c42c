"""What can be trained besides networks of the zoo: networks of other libraries, and ones that are there already."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pocketcnn.pipeline.networks import named_network

if TYPE_CHECKING:
    from torch import nn

    from pocketcnn.graph import GraphNetwork


class NetworkBuilder(Protocol):
    """What a training starts from, as `pocketcnn.pipeline.candidates.CandidateNetwork` is for a network of the zoo."""

    @property
    def network(self) -> str: ...

    @property
    def width(self) -> float: ...

    @property
    def name(self) -> str: ...

    def build(self, seed: int = 0, *, for_training: bool = False) -> "nn.Module": ...


@dataclass(frozen=True)
class LibraryNetwork:
    """A network of timm or torchvision with fresh weights, its classifier made for the folder's classes."""

    network: str
    width: float
    channels: int
    size: tuple[int, int]
    classes: int

    @property
    def name(self) -> str:
        """For people: ``timm:lcnet_050, 32x32``."""
        return f"{self.network}, {self.size[0]}x{self.size[1]}"

    def build(self, seed: int = 0, *, for_training: bool = False) -> "GraphNetwork":  # noqa: ARG002
        """The network, captured; raises what `named_network` does."""
        return named_network(
            self.network, (self.channels, *self.size), width=self.width, classes=self.classes, seed=seed
        )


@dataclass(frozen=True)
class GivenNetwork:
    """A network as it is, to be trained on."""

    network: str
    ready: "GraphNetwork"
    width: float = 1.0

    @property
    def name(self) -> str:
        return self.network

    def build(self, seed: int = 0, *, for_training: bool = False) -> "GraphNetwork":  # noqa: ARG002
        """The network itself."""
        return self.ready

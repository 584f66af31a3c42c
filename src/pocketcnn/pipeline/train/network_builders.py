"""Builders of the networks to train that are not from the zoo: networks of other libraries, and existing networks."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pocketcnn.pipeline.networks import named_network

if TYPE_CHECKING:
    from torch import nn

    from pocketcnn.graph import GraphNetwork, Stage


class NetworkBuilder(Protocol):
    """Builds the network for a training; for the zoo this is `pocketcnn.pipeline.candidates.CandidateNetwork`."""

    @property
    def network(self) -> str: ...

    @property
    def width(self) -> float: ...

    @property
    def name(self) -> str: ...

    def build(self, seed: int = 0, *, for_training: bool = False) -> "nn.Module": ...


@dataclass(frozen=True)
class LibraryNetwork:
    """A network of timm or torchvision with random weights, with one output for each class of the folder."""

    network: str
    width: float
    channels: int
    size: tuple[int, int]
    classes: int

    @property
    def name(self) -> str:
        """Display name: ``timm:lcnet_050, 32x32``."""
        return f"{self.network}, {self.size[0]}x{self.size[1]}"

    def build(self, seed: int = 0, *, for_training: bool = False) -> "GraphNetwork":  # noqa: ARG002
        """The captured network. Raises the errors of `named_network`."""
        return named_network(
            self.network, (self.channels, *self.size), width=self.width, classes=self.classes, seed=seed
        )


@dataclass(frozen=True)
class GivenNetwork:
    """An existing network, to be trained further."""

    network: str
    ready: "GraphNetwork"
    width: float = 1.0

    @property
    def name(self) -> str:
        return self.network

    @property
    def origin(self) -> "tuple[Stage, ...]":
        """The stages of its lineage that used no images: these say where its weights are from."""
        return tuple(stage for stage in self.ready.info.lineage if stage.data is None)

    def build(self, seed: int = 0, *, for_training: bool = False) -> "GraphNetwork":  # noqa: ARG002
        """The network itself."""
        return self.ready

"""Builds the network of an architecture file (the `network.toml` of a search) for training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from torch import nn

from pocketcnn.nas.architecture import Architecture, load_architecture
from pocketcnn.nas.space import Task
from pocketcnn.training import drawn_from


@dataclass(frozen=True)
class ArchitectureNetwork:
    """The network of an architecture file for a task; it has no width multiplier of its own.

    Attributes:
        network: the file, as it was named.
        architecture: the contents of the file.
        task: classes, and channels and size of the images of the folder.
    """

    network: str
    architecture: Architecture
    task: Task
    width: float = 1.0

    @classmethod
    def read(cls, path: str, channels: int, size: tuple[int, int], classes: int) -> Self:
        """Read the file for images of `size` (height, width). Raises the errors of `load_architecture`."""
        return cls(path, load_architecture(path), Task(classes, channels, *size))

    @property
    def size(self) -> tuple[int, int]:
        """Input size (height, width) of the network, which may be a decision of the search."""
        return self.architecture.input_size(self.task)

    @property
    def name(self) -> str:
        """Display name: ``network of mnasnet, 8x8``."""
        height, width = self.size
        return f"{Path(self.network).stem} of {self.architecture.space.name}, {height}x{width}"

    def build(self, seed: int = 0, *, for_training: bool = False) -> nn.Module:  # noqa: ARG002 - training and inference are the same
        """The network with random weights drawn from `seed`. The global random state of torch is not changed."""
        with drawn_from(seed):
            return self.architecture.build(self.task)

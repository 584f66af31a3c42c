"""A network of a search space as something to train: what `Plan` is for the zoo, for the `network.toml` that a search leaves."""

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
        architecture: what the file says.
        task: classes, and channels and size of the images of the folder.
    """

    network: str
    architecture: Architecture
    task: Task
    width: float = 1.0

    @classmethod
    def read(cls, path: str, channels: int, size: tuple[int, int], classes: int) -> Self:
        """The plan for images of (height, width) and a number of classes; raises what `load_architecture` does."""
        return cls(path, load_architecture(path), Task(classes, channels, *size))

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the images that the network takes; its resolution may be a decision."""
        return self.architecture.input_size(self.task)

    @property
    def name(self) -> str:
        """For people: ``network of mnasnet, 8x8``."""
        height, width = self.size
        return f"{Path(self.network).stem} of {self.architecture.space.name}, {height}x{width}"

    def build(self, seed: int = 0, *, for_training: bool = False) -> nn.Module:  # noqa: ARG002 - it has one form
        """The network with fresh weights drawn from `seed`; torch's own random stream is left as it was."""
        with drawn_from(seed):
            return self.architecture.build(self.task)

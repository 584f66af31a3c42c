"""An architecture file, the `network.toml` of a search: a space and a point of it, from which the network is built.

    [space]
    name = "mnasnet"
    width = 0.25

    [block1]
    operation = "separable"
    kernel = 5

The point may be edited by hand: every decision is checked against the choices of its space.
"""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from pocketcnn.nas.point_file import load_point, space_reference
from pocketcnn.nas.space import Point, Space, Task
from pocketcnn.nas.spaces import space_of


@dataclass(frozen=True)
class Architecture:
    """A network as a point of a search space, without weights."""

    space: Space
    point: Point

    def input_size(self, task: Task) -> tuple[int, int]:
        """(height, width) of its input images; smaller than those of the task if the resolution is a decision."""
        return self.space.input_size(self.point, task)

    def build(self, task: Task) -> nn.Module:
        """The network with new weights: (N, channels, *input_size) -> (N, classes)."""
        return self.space.build(self.point, task)


def load_architecture(path: str | Path, space: Space | None = None) -> Architecture:
    """Read an architecture file.

    Args:
        path: a .toml or .json file, as `pocketcnn search` writes it or written by hand.
        space: the space of the point; by default the one that the file names.

    Raises:
        UsageError: the file cannot be read, names an unknown space, or is not a point of its space.
    """
    path = Path(path)
    found = space or space_of(space_reference(path), path.parent)
    return Architecture(found, load_point(path, found))


def build_architecture(path: str | Path, *, classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
    """The network of an architecture file with new weights, ready for training.

    Args:
        path: see `load_architecture`.
        classes: number of outputs of the classifier.
        input_shape: (channels, height, width) of the task's images.

    Raises:
        UsageError: see `load_architecture`.
    """
    return load_architecture(path).build(Task(classes, *input_shape))

"""A sub-network of a supernet as data: image size, and kernel and expansion of each block."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pocketcnn.errors import UsageError


@dataclass(frozen=True, slots=True, order=True)
class Block:
    """The choices of one inverted residual: depthwise kernel size, and expansion ratio."""

    kernel: int
    expansion: int

    def __str__(self) -> str:
        return f"k{self.kernel}e{self.expansion}"


@dataclass(frozen=True, slots=True)
class Subnetwork:
    """A sub-network. Blocks that are left out are not listed, so equal networks are equal objects.

    Attributes:
        size: (height, width) of its images.
        stages: the blocks of each stage, in order.
    """

    size: tuple[int, int]
    stages: tuple[tuple[Block, ...], ...]

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks per stage."""
        return tuple(map(len, self.stages))

    def __str__(self) -> str:
        """For display: ``28x28: k3e4 k5e6 | k3e3``."""
        stages = " | ".join(" ".join(map(str, blocks)) for blocks in self.stages)
        return f"{self.size[0]}x{self.size[1]}: {stages}"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON: ``{"size": [28, 28], "stages": [[[3, 4], [5, 6]], [[3, 3]]]}``."""
        stages = [[[block.kernel, block.expansion] for block in blocks] for blocks in self.stages]
        return {"size": list(self.size), "stages": stages}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Restore what `as_dict` returned, or what was written by hand.

        Raises:
            UsageError: the data has another form.
        """
        try:
            height, width = map(int, data["size"])
            stages = tuple(tuple(Block(int(k), int(e)) for k, e in blocks) for blocks in data["stages"])
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(
                'A sub-network must have the form {"size": [height, width], "stages": [[[kernel, expansion], …], …]}, '
                f"not {dict(data)}."
            ) from error
        return cls((height, width), stages)

"""Width, depth and resolution of any network of the zoo as a search space.

"EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks" (Tan and Le, 2019) scales all three together.
"""

from dataclasses import dataclass
from functools import cached_property

from torch import nn

from pocketcnn.compression.pruning.residual_blocks import residual_blocks
from pocketcnn.graph import Graph, GraphNetwork, capture
from pocketcnn.layers import reparameterize
from pocketcnn.models import create, network_options
from pocketcnn.models.small_images import options_for, takes
from pocketcnn.nas.space import Decision, Point, Space, Task, check_decisions

WIDTHS = (0.1, 0.15, 0.25, 0.35, 0.5, 0.75, 1.0)
DEPTHS = (1.0, 0.75, 0.5, 0.25)
"""Kept shares of the residual blocks."""

RESOLUTIONS = (1.0, 0.75, 0.5)
"""Input size as a share of the image size."""

PREFIX = "scaling:"


@dataclass(frozen=True)
class ScalingSpace(Space):
    """Variants of one network: width, number of residual blocks, and input resolution."""

    network: str

    @property
    def name(self) -> str:  # type: ignore[override]
        return f"{PREFIX}{self.network}"

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        has_width = "width" in network_options(self.network)
        return check_decisions(
            [
                *([Decision("width", WIDTHS)] if has_width else []),
                Decision("depth", DEPTHS),
                Decision("resolution", RESOLUTIONS),
            ]
        )

    def input_size(self, point: Point, task: Task) -> tuple[int, int]:
        """The scaled image size; the full size if the network does not accept the scaled one."""
        height, width = (max(1, round(side * float(point["resolution"]))) for side in task.size)
        return (height, width) if takes(self.network, (height, width)) else task.size

    def build(self, point: Point, task: Task) -> nn.Module:
        size = self.input_size(point, task)
        width = float(point.get("width", 1.0))
        options = options_for(self.network, size, width)
        network = create(self.network, width=width, classes=task.classes, in_channels=task.channels, **options)
        if float(point["depth"]) == 1:
            return network
        graph = capture(reparameterize(network), (1, task.channels, *size))
        return GraphNetwork(with_depth(graph, float(point["depth"])))

    def describe(self, point: Point) -> list[str]:
        width = f"{point['width']:g}x wide, " if "width" in point else ""
        return [
            f"{self.network}, {width}{float(point['depth']):.0%} of its residual blocks, "
            f"images of {float(point['resolution']):.0%} of their side"
        ]


def with_depth(graph: Graph, share: float) -> Graph:
    """`graph` with about `share` of its residual blocks; the removed ones are evenly spaced. Without residual blocks it is
    unchanged.
    """
    total = len(residual_blocks(graph))
    removed = total - max(min(total, 1), round(total * share))
    for number in range(removed):
        choices = residual_blocks(graph)
        if not choices:
            break
        index = int((number + 0.5) * total / removed) - number
        graph = choices[min(max(index, 0), len(choices) - 1)].removed_from(graph)
    return graph

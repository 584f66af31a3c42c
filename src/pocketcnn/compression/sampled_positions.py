"""Sampled output positions of a layer: its inputs and outputs there."""

from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketcnn.graph import Node, Shape


@dataclass(frozen=True)
class SampledPositions:
    """P positions in the outputs of a layer for a batch: image, and for maps row and column, each (P,)."""

    image: Tensor
    row: Tensor
    column: Tensor

    def of_images(self, start: int, stop: int) -> "SampledPositions":
        """The positions in the images from `start` to `stop`, numbered from `start`."""
        chosen = (self.image >= start) & (self.image < stop)
        return SampledPositions(self.image[chosen] - start, self.row[chosen], self.column[chosen])


def sample_positions(shape: Shape, images: int, count: int, random: torch.Generator) -> SampledPositions:
    """Up to `count` distinct positions in the outputs (C, H, W) or (F,) of a layer for `images` images."""
    height, width = _map_of(shape)
    total = images * prod((height, width))
    flat = torch.randperm(total, generator=random)[:count] if total <= 1 << 22 else _distinct(total, count, random)
    return SampledPositions(flat // (height * width), flat // width % height, flat % width)


def sample_positions_per_image(shape: Shape, images: int, each: int, random: torch.Generator) -> SampledPositions:
    """Up to `each` distinct positions per image, in the order of the images."""
    height, width = _map_of(shape)
    drawn = torch.rand(images, height * width, generator=random).argsort(1)[:, :each]
    image = torch.arange(images)[:, None].expand_as(drawn)
    return SampledPositions(image.flatten(), (drawn // width).flatten(), (drawn % width).flatten())


def _map_of(shape: Shape) -> tuple[int, int]:
    """Height and width of an output; 1 for a vector."""
    return (shape[1], shape[2]) if len(shape) == 3 else (1, 1)


def _distinct(total: int, count: int, random: torch.Generator) -> Tensor:
    """`count` of very many positions; a full permutation would dominate the run time."""
    drawn: Tensor = torch.unique(torch.randint(total, (count,), generator=random))
    return drawn


def values_at(value: Tensor, positions: SampledPositions) -> Tensor:
    """The channels of a value (N, C, H, W) or (N, C) at the positions, (P, C)."""
    found: Tensor = (
        value[positions.image, :, positions.row, positions.column] if value.ndim == 4 else value[positions.image]
    )
    return found


def patches(layer: Node, value: Tensor, weight: tuple[int, ...], positions: SampledPositions) -> Tensor:
    """The input patch of a convolution or linear layer for each position, (P, G, K).

    K runs over the input channels of a group and the window, in the order of a filter's weights.

    Args:
        layer: the layer's node.
        value: its input (N, C, H, W) or (N, C).
        weight: the shape of its weight.
        positions: in its output.
    """
    if layer.op == "linear":
        features: Tensor = value[positions.image]
        return features[:, None, :]
    (top, left), (down, right), (below, beside) = (layer.pair(name) for name in ("padding", "stride", "dilation"))
    groups, (height, width) = layer.integer("groups"), weight[2:]
    padded = F.pad(value, (left, left, top, top))
    rows = positions.row[:, None] * down + torch.arange(height) * below
    columns = positions.column[:, None] * right + torch.arange(width) * beside
    taken = padded[positions.image[:, None, None], :, rows[:, :, None], columns[:, None, :]]  # (P, height, width, C)
    return taken.permute(0, 3, 1, 2).reshape(len(taken), groups, -1)

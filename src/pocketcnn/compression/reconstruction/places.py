"""Some places of feature maps, drawn once: what a layer reads around them, and what it answers there."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketcnn.graph import Node, Shape


@dataclass(frozen=True)
class Places:
    """Places of a layer's output: rows and columns (N, P) for each of N images; P is 1 for a vector."""

    rows: Tensor
    columns: Tensor

    @classmethod
    def drawn(cls, shape: Shape, images: int, each: int, generator: torch.Generator) -> "Places":
        """Up to `each` places of every image, without repetition, in a value of `shape` (C, H, W) or (F,)."""
        height, width = shape[1:] if len(shape) == 3 else (1, 1)
        drawn = torch.rand(images, height * width, generator=generator).argsort(1)[:, :each]
        return cls(drawn // width, drawn % width)

    def of_images(self, start: int, stop: int) -> "Places":
        """Those of the images from `start` to `stop`."""
        return Places(self.rows[start:stop], self.columns[start:stop])

    def answers(self, value: Tensor) -> Tensor:
        """What a value (N, C, H, W) or (N, F) is there: (N, P, C)."""
        if value.ndim == 2:
            return value[:, None]
        image = torch.arange(len(value))[:, None]
        return value[image, :, self.rows, self.columns]

    def patches(self, node: Node, value: Tensor, kernel: tuple[int, int]) -> Tensor:
        """What the layer `node` reads of `value` (N, C, H, W) or (N, F) for the answer there: (N, P, C, KH·KW)."""
        if value.ndim == 2:
            return value[:, None, :, None]
        (down, across), (vertical, horizontal) = node.pair("dilation"), node.pair("stride")
        pad_rows, pad_columns = node.pair("padding")
        padded = F.pad(value, (pad_columns, pad_columns, pad_rows, pad_rows))
        rows = (self.rows * vertical)[:, :, None, None] + down * torch.arange(kernel[0])[:, None]
        columns = (self.columns * horizontal)[:, :, None, None] + across * torch.arange(kernel[1])
        image = torch.arange(len(value))[:, None, None, None]
        found = padded[image, :, rows, columns]  # (N, P, KH, KW, C)
        return found.flatten(2, 3).transpose(2, 3)

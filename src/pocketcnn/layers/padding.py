"""Padding of strided convolution and pooling: symmetric, or as TensorFlow's 'SAME'.

Both give ⌈size / stride⌉ output pixels. 'symmetric' pads K // 2 on every side. 'same' pads the minimum,
max(0, (⌈size / stride⌉ - 1) · stride + K - size) in all, the odd pixel at the bottom and right. The two differ for even
sizes and stride 2, so weights trained with one do not suit the other.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

Padding = Literal["symmetric", "same"]


def same_pads(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels to add before and after one axis of `size` pixels.

    >>> same_pads(224, 3, 2)
    (0, 1)
    """
    total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
    return total // 2, total - total // 2


def pad_same(x: torch.Tensor, kernel: int, stride: int, value: float = 0.0) -> torch.Tensor:
    """(N, C, H, W) with the rows and columns that 'SAME' adds for a square kernel."""
    top, bottom = same_pads(x.shape[2], kernel, stride)
    left, right = same_pads(x.shape[3], kernel, stride)
    return F.pad(x, (left, right, top, bottom), value=value) if any((top, bottom, left, right)) else x


class Conv2dSame(nn.Conv2d):
    """A square convolution that pads by the size of its input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(pad_same(x, self.kernel_size[0], self.stride[0]))


def conv2d(
    in_channels: int,
    out_channels: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    bias: bool = False,
    padding: Padding = "symmetric",
) -> nn.Conv2d:
    """A convolution with a K × K kernel, K odd: (N, M, H, W) -> (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉)."""
    if padding == "same" and stride > 1 and kernel > 1:  # otherwise both paddings are equal
        return Conv2dSame(in_channels, out_channels, kernel, stride, groups=groups, bias=bias)
    return nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, groups=groups, bias=bias)


class MaxPoolSame(nn.Module):
    """Max pooling with 'SAME' padding: (N, C, H, W) -> (N, C, ⌈H / stride⌉, ⌈W / stride⌉)."""

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padding = _pads_before(x, self.kernel, self.stride)  # rounding up adds the odd pixel after
        return F.max_pool2d(x, self.kernel, self.stride, padding, ceil_mode=True)


class AvgPoolSame(nn.Module):
    """Average pooling with 'SAME' padding; pixels that were added do not count, as in TensorFlow.

    With `count_padding` they count as zeros, as in timm.
    """

    def __init__(self, kernel: int, stride: int, *, count_padding: bool = False) -> None:
        super().__init__()
        self.kernel, self.stride, self.count_padding = kernel, stride, count_padding

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.count_padding:
            return F.avg_pool2d(pad_same(x, self.kernel, self.stride), self.kernel, self.stride)
        padding = _pads_before(x, self.kernel, self.stride)
        return F.avg_pool2d(x, self.kernel, self.stride, padding, ceil_mode=True, count_include_pad=False)


def _pads_before(x: torch.Tensor, kernel: int, stride: int) -> tuple[int, int]:
    return same_pads(x.shape[2], kernel, stride)[0], same_pads(x.shape[3], kernel, stride)[0]

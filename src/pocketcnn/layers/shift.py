"""The shift operation: each channel is shifted by its own integer offset; 0 parameters, 0 multiply-adds.

Wu et al., "Shift: A Zero FLOP, Zero Parameter Alternative to Spatial Convolutions", section 3.1.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def shift_kernel(down: Sequence[int], right: Sequence[int]) -> Tensor:
    """The depthwise kernel, (C, 1, 2a+1, 2b+1), that moves channel c by `down[c]` rows and `right[c]` columns, zero-filled."""
    reach_down, reach_right = max(map(abs, down)), max(map(abs, right))
    kernel = torch.zeros(len(down), 1, 2 * reach_down + 1, 2 * reach_right + 1)
    channels = torch.arange(len(down))
    kernel[channels, 0, reach_down - torch.tensor(down), reach_right - torch.tensor(right)] = 1
    return kernel


@torch.library.custom_op("pocketcnn::shift", mutates_args=())
def _shift(x: Tensor, down: list[int], right: list[int]) -> Tensor:
    kernel = shift_kernel(down, right).to(x)
    return F.conv2d(x, kernel, padding=(kernel.shape[2] // 2, kernel.shape[3] // 2), groups=len(down))


@_shift.register_fake
def _(x: Tensor, down: list[int], right: list[int]) -> Tensor:  # noqa: ARG001
    return torch.empty_like(x)


def _keep_offsets(
    ctx: torch.autograd.function.FunctionCtx,
    inputs: tuple[Tensor, list[int], list[int]],
    output: Tensor,  # noqa: ARG001
) -> None:
    ctx.down, ctx.right = inputs[1], inputs[2]  # type: ignore[attr-defined]


def _shift_back(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None, None]:
    down, right = ctx.down, ctx.right  # type: ignore[attr-defined]
    return _shift(gradient, [-move for move in down], [-move for move in right]), None, None


_shift.register_autograd(_shift_back, setup_context=_keep_offsets)


def shift_channels(x: Tensor, down: Sequence[int], right: Sequence[int]) -> Tensor:
    """Shift channel c of `x` (N, C, H, W) by `down[c]` rows and `right[c]` columns, with zero fill.

    It is a custom operator, so that `torch.export` and capture see one shift instead of its implementation.
    """
    shifted: Tensor = _shift(x, list(down), list(right))
    return shifted


class Shift(nn.Module):
    """Shift with a square `kernel`: the channels are divided evenly over its kernel² offsets; a remainder is not shifted."""

    def __init__(self, channels: int, kernel: int = 3, dilation: int = 1) -> None:
        super().__init__()
        reach = kernel // 2
        offsets = [(i * dilation, j * dilation) for i in range(-reach, reach + 1) for j in range(-reach, reach + 1)]
        share = channels // len(offsets)
        dealt = [offset for offset in offsets for _ in range(share)]
        dealt += [(0, 0)] * (channels - len(dealt))
        self.down, self.right = [offset[0] for offset in dealt], [offset[1] for offset in dealt]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return shift_channels(x, self.down, self.right)

"""Fast count of parameters and multiply-adds on the meta device, for a list of the whole zoo."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

KEEP_THE_SHAPE = frozenset(
    {
        *(F.relu, F.relu6, F.hardtanh, F.hardswish, F.hardsigmoid, F.sigmoid, F.silu, F.dropout, F.batch_norm),
        *(torch.relu, torch.sigmoid),
    }
)
"""Functions without counted multiply-adds that preserve the shape; they are skipped to save time."""


class Count(NamedTuple):
    """Number of trainable values, and multiply-adds of convolutions and linear layers for one image."""

    params: int
    madds: int


def build_without_data(build: Callable[[], nn.Module]) -> nn.Module:
    """The network of `build` in eval mode, with tensors on the meta device."""
    with torch.device("meta"):
        return build().eval()


def count_without_data(network: nn.Module, shape: tuple[int, int, int]) -> Count:
    """Count `network` (see `build_without_data`) for one image of `shape` (C, H, W).

    Only shapes are computed, which is much faster than capturing the network.

    Raises:
        RuntimeError: the network does not take images of that shape.
    """
    params = sum(parameter.numel() for parameter in network.parameters())
    with torch.no_grad(), _MultiplyAdds() as counter:
        network(torch.empty(1, *shape, device="meta"))
    return Count(params, counter.total)


class _MultiplyAdds(TorchFunctionMode):
    """Sums the multiply-adds of convolutions and linear layers, and skips functions that preserve the shape."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if function in KEEP_THE_SHAPE:
            return args[0]
        result = function(*args, **(kwargs or {}))
        if function is F.conv2d or function is F.linear:
            weight: Tensor = args[1]
            self.total += result.numel() * weight[0].numel()
        return result

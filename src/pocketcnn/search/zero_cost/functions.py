"""Sees the activations and normalizations of any network as it calls them, and can do something else in their place.

It stands between a network and torch's functions, so that it makes no difference whether an activation is a module, a function in
`forward`, or a node of a captured graph.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

ACTIVATIONS: frozenset[Any] = frozenset(
    {
        F.relu, F.relu_, F.relu6, F.hardtanh, F.hardtanh_, F.hardswish, F.silu, F.leaky_relu, F.leaky_relu_, F.gelu, F.elu,
        F.mish, F.prelu, torch.relu, torch.relu_, torch.clamp, torch.clamp_min, Tensor.relu, Tensor.relu_, Tensor.clamp,
    }
)  # fmt: skip
"""Those that let positive numbers through; sigmoids, which weigh, are none of them."""

NORMALIZATIONS: frozenset[Any] = frozenset(
    {F.batch_norm, torch.batch_norm, F.group_norm, F.layer_norm, F.instance_norm}
)

Instead = Callable[[Callable[..., Any], tuple[Any, ...], Mapping[str, Any]], Any]
"""Gets a function and its arguments, and returns what it is to return."""


class InPlaceOf(TorchFunctionMode):
    """Inside, `instead` runs wherever one of `functions` is called; what it calls itself is called as usual."""

    def __init__(self, functions: frozenset[Any], instead: Instead) -> None:
        super().__init__()
        self.functions, self.instead = functions, instead

    def __torch_function__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in self.functions:
            return self.instead(func, args, kwargs or {})
        return func(*args, **(kwargs or {}))


def passed_on(_function: Callable[..., Any], args: tuple[Any, ...], _kwargs: Mapping[str, Any]) -> Any:
    """The first argument as it is."""
    return args[0]

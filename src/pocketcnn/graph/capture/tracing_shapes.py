"""Fast shape inference for frequent ATen operators in eval mode, including the batch axis.

torch infers shapes of meta tensors in slow Python code and imports its compiler for it. It is used for all other operators.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from pocketcnn.graph.node import Shape
from pocketcnn.graph.ops import OPS

Rule = Callable[[tuple[Any, ...], Mapping[str, Any]], Shape]


def _first(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Shape:
    return tuple(args[0].shape)


def _broadcast(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Shape:
    first, second = (tuple(arg.shape) if isinstance(arg, Tensor) else () for arg in args[:2])
    return first if first == second else tuple(torch.broadcast_shapes(first, second))  # type: ignore[no-untyped-call]


def _linear(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Shape:
    return (*args[0].shape[:-1], args[1].shape[0])


def _adaptive(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Shape:
    size = args[1]
    return (*args[0].shape[:-2], size[0], size[-1])


def _cat(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Shape:
    parts = args[0]
    axis = (args[1] if len(args) > 1 else kwargs.get("dim", 0)) % parts[0].ndim
    shape = list(parts[0].shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    return tuple(shape)


def _mean(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Shape:
    source, axes, keep = (*args, *(kwargs.get("keepdim", False),) * (3 - len(args)))[:3]
    gone = {axis % source.ndim for axis in axes}
    return tuple(1 if axis in gone else size for axis, size in enumerate(source.shape) if keep or axis not in gone)


_aten = torch.ops.aten
_ELEMENTWISE = ("hardtanh", "leaky_relu", "elu", *(name for op in OPS.values() for name in op.aten))
_PAIRS = ("add", "sub", "mul", "div")

RESULT_SHAPES: Mapping[Any, Rule] = MappingProxyType(
    {
        **{getattr(_aten, name).default: _first for name in (*_ELEMENTWISE, "batch_norm")},
        **{getattr(_aten, f"{name}_").default: _first for name in _ELEMENTWISE if hasattr(_aten, f"{name}_")},
        **{getattr(_aten, name).Tensor: _broadcast for name in _PAIRS},
        **{getattr(_aten, f"{name}_").Tensor: _first for name in _PAIRS},
        _aten.linear.default: _linear,
        _aten.cat.default: _cat,
        _aten.mean.dim: _mean,
        _aten.adaptive_avg_pool2d.default: _adaptive,
    }
)
"""Operator -> (arguments, keyword arguments) -> shape of the result. The result has the dtype of the first argument."""

"""Multiply a factor per channel of a value into the weights that read it."""

from collections.abc import Mapping

import torch
from torch import Tensor

from pocketcnn.graph import OPS, Graph, Node

LINEAR = frozenset({"conv2d", "linear"})
KEEPS_FACTORS = frozenset({"mean", "max_pool", "avg_pool", "adaptive_avg_pool", "upsample"})
"""Positively homogeneous operations that work on each channel separately."""


def scaled_readers(graph: Graph, value: str, factors: Tensor) -> dict[str, Tensor] | None:
    """New weights for the layers that read `value`, so that they see it times `factors` (C,); None if that is not possible.

    It is possible if only convolutions and linear layers read the value, directly or through pooling, and share no weights.
    """
    if value == graph.output:
        return None
    found: dict[str, Tensor] = {}
    for reader in graph.users(value):
        if reader.op in LINEAR:
            name = reader.tensors["weight"]
            if _is_shared(graph, reader, name):
                return None
            found[name] = _scaled(graph, reader, factors)
        elif OPS[reader.op].view or (reader.op in KEEPS_FACTORS and len(reader.shape) in (1, 3)):
            below = _moved(graph, reader, factors)
            deeper = None if below is None else scaled_readers(graph, reader.name, below)
            if deeper is None:
                return None
            found |= deeper
        else:
            return None
    return found


def _moved(graph: Graph, node: Node, factors: Tensor) -> Tensor | None:
    """The factors of the output's first axis: unchanged, or repeated where a map is flattened."""
    before = graph[node.inputs[0]].shape
    if node.shape[0] == before[0]:
        return factors
    if len(node.shape) == 1 and node.shape[0] % len(factors) == 0:
        return factors.repeat_interleave(node.shape[0] // len(factors))
    return None


def _scaled(graph: Graph, reader: Node, factors: Tensor) -> Tensor:
    weight = graph.tensors[reader.tensors["weight"]]
    if reader.op == "linear":
        return weight * factors.to(weight.dtype)
    groups = reader.integer("groups")
    by_group = factors.to(weight.dtype).reshape(groups, -1)  # (G, C/G)
    rows = by_group.repeat_interleave(weight.shape[0] // groups, dim=0)  # (N, C/G)
    return weight * rows[:, :, None, None]


def _is_shared(graph: Graph, reader: Node, name: str) -> bool:
    return any(node is not reader and name in node.tensors.values() for node in graph.nodes)


def with_tensors(graph: Graph, changed: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of `graph` with some replaced."""
    return {**graph.tensors, **{name: tensor.detach() for name, tensor in changed.items()}}


def normal_values(count: int = 4096) -> Tensor:
    """Quantiles (count,) of the standard normal distribution: a deterministic sample of batch-norm outputs."""
    quantiles = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    values: Tensor = torch.special.ndtri(quantiles)
    return values.float()

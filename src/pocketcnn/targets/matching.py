"""Matching of operations against the patterns of a target."""

from collections.abc import Iterable
from typing import TypeVar

from pocketcnn.errors import UsageError
from pocketcnn.graph import OPS, Graph, Node
from pocketcnn.targets.capability import OpPattern

Pattern = TypeVar("Pattern", bound=OpPattern)


def first_match(patterns: Iterable[Pattern], graph: Graph, node: Node) -> Pattern | None:
    """The first of `patterns` that matches `node`, or None."""
    return next((pattern for pattern in patterns if matches(pattern, graph, node)), None)


def matches(pattern: OpPattern, graph: Graph, node: Node) -> bool:
    """Whether `pattern` matches `node`: the same operation, and every property that the pattern sets."""
    if pattern.op != node.op:
        return False
    kernel = window(graph, node)
    tests = (
        (pattern.kernel, kernel == (pattern.kernel, pattern.kernel)),
        (pattern.kernel_over, kernel is not None and max(kernel) > (pattern.kernel_over or 0)),
        (pattern.stride, pattern.stride in _stride(node)),
        (pattern.dilated, pattern.dilated == _is_dilated(node)),
        (pattern.depthwise, pattern.depthwise == is_depthwise(graph, node)),
        (pattern.grouped, pattern.grouped == _is_grouped(graph, node)),
        (pattern.broadcast, pattern.broadcast == _repeats_an_input(graph, node)),
    )
    return all(fits for wanted, fits in tests if wanted is not None)


def check_patterns(patterns: Iterable[OpPattern], where: str) -> None:
    """Check that every pattern names a known operation.

    Raises:
        UsageError: one does not.
    """
    for pattern in patterns:
        if pattern.op not in OPS:
            known = ", ".join(sorted(set(OPS) - {"input", "constant"}))
            raise UsageError(
                f"The target {where} names the unknown operation {pattern.op!r}. Known operations: {known}."
            )


def window(graph: Graph, node: Node) -> tuple[int, int] | None:
    """(K_h, K_w) of a convolution or pooling, None for other operations."""
    if node.op == "conv2d":
        height, width = graph.tensors[node.tensors["weight"]].shape[2:]
        return int(height), int(width)
    return node.pair("kernel") if isinstance(node.attrs.get("kernel"), tuple) else None


def is_depthwise(graph: Graph, node: Node) -> bool:
    """Whether `node` is a depthwise convolution."""
    return node.op == "conv2d" and _channels(graph, node) == node.integer("groups") > 1


def _is_grouped(graph: Graph, node: Node) -> bool:
    return node.op == "conv2d" and 1 < node.integer("groups") < _channels(graph, node)


def _channels(graph: Graph, node: Node) -> int:
    return graph[node.inputs[0]].shape[0]


def _stride(node: Node) -> tuple[int, ...]:
    return node.ints("stride") if isinstance(node.attrs.get("stride"), tuple) else ()


def _is_dilated(node: Node) -> bool:
    return node.op == "conv2d" and max(node.pair("dilation")) > 1


def _repeats_an_input(graph: Graph, node: Node) -> bool:
    return (
        len(node.inputs) > 1 and OPS[node.op].inplace and any(graph[name].shape != node.shape for name in node.inputs)
    )

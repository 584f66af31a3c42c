"""Pattern matching for functions that torch exports as several operators but that are one operation of the graph.

A match is searched backwards from the last operator of the pattern. It counts only if no other operator reads an
intermediate value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import fx

from pocketcnn.graph.node import Attr


@dataclass(frozen=True)
class Composition:
    """One operation of the graph that replaces several exported operators."""

    op: str
    source: fx.Node
    attrs: dict[str, Attr]
    inside: frozenset[fx.Node]
    """The exported operators that it replaces, except the last one, whose value it computes."""


def compositions(graph: fx.Graph) -> dict[fx.Node, Composition]:
    """All matches, keyed by the last exported operator of each."""
    found = {node: _local_response_norm(node) for node in graph.nodes}
    return {node: composition for node, composition in found.items() if composition is not None}


def _local_response_norm(last: fx.Node) -> Composition | None:
    """x / (k + alpha · mean of squares over channels)^beta, as `torch.nn.functional.local_response_norm` is written."""
    if not _is(last, "div"):
        return None
    x, divisor = last.args[:2]
    chain = _chain(divisor, ("pow", "add", "mul", "view", "squeeze", "avg_pool3d", "pad", "view", "mul"))
    if chain is None:
        return None
    power, plus, times, _, _, pool, pad, _, square = (node.args for node in chain)
    size, *rest = _second(pool)
    beta, k, alpha = _second(power), _second(plus), _second(times)
    matches = (
        isinstance(x, fx.Node)
        and square == (x, x)
        and rest == [1, 1]
        and list(_second(pad)) == [0, 0, 0, 0, size // 2, (size - 1) // 2]
        and all(isinstance(number, int | float) for number in (beta, k, alpha))
    )
    if not matches:
        return None
    attrs: dict[str, Attr] = {"size": int(size), "alpha": float(alpha), "beta": float(beta), "k": float(k)}
    return Composition("local_response_norm", x, attrs, frozenset(chain))  # type: ignore[arg-type]


def _second(arguments: Sequence[Any]) -> Any:
    return arguments[1]


def _chain(last: object, names: Sequence[str]) -> list[fx.Node] | None:
    """The operators `names`, from last to first, each the first argument of the following one and read by no other."""
    found: list[fx.Node] = []
    for name in names:
        if not isinstance(last, fx.Node) or not _is(last, name) or len(last.users) != 1:
            return None
        found.append(last)
        last = last.args[0]
    return found


def _is(node: fx.Node, name: str) -> bool:
    return node.op == "call_function" and str(node.target).startswith(f"aten.{name}.")

"""Groups nodes to boxes: batch norms and activations join the layer before them, a channel split is one box."""

from collections.abc import Sequence
from dataclasses import dataclass

from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node
from pocketcnn.graph.ops import OPS
from pocketcnn.graph.ops.facts import Family
from pocketcnn.report import numbers
from pocketcnn.report.diagram import labels as words

FOLLOWERS = frozenset(
    op.name
    for op in OPS.values()
    if op.family is Family.ACTIVATION or (op.inplace and op.arity == 1 and op.family is not Family.RESHAPING)
)
"""Operations that join the box of their input, if no other node reads it."""


@dataclass(frozen=True)
class Box:
    """One box of a drawing.

    Attributes:
        name: of its first node.
        inputs: names of the boxes that it reads.
        path: of the module that it comes from.
        own: whether the module's own code computes it, not a submodule.
        kind: see `words.kind`.
        lines: its text, the first line in bold.
        tooltip: the names of its nodes.
        shape: of its output, without the batch dimension.
        madds: multiply-adds.
        share: of the multiply-adds of the network, from 0 to 1.
    """

    name: str
    inputs: tuple[str, ...]
    path: str
    own: bool
    kind: str
    lines: tuple[str, ...]
    tooltip: str
    shape: tuple[int, ...]
    madds: int = 0
    share: float = 0.0


def boxes(graph: Graph, nodes: Sequence[Node], total_madds: int) -> list[Box]:
    """The boxes of `nodes`, a part of `graph` or all of it, in their order; with boxes for inputs before and outputs after."""
    drawn = [node for node in nodes if node.op != "constant"]
    groups = _grouped(graph, drawn)
    box_of = {node.name: group[0].name for group in groups for node in group}
    inner = {node.name for node in drawn}
    outside = dict.fromkeys(
        name for node in drawn for name in node.inputs if name not in inner and graph[name].op != "constant"
    )
    result = [_end(f"{name}/in", "input", graph[name], ()) for name in outside]
    box_of |= {name: f"{name}/in" for name in outside}
    result += [_box(graph, group, box_of, total_madds) for group in groups]
    leaving = dict.fromkeys(
        box_of[node.name]
        for node in drawn
        if node.name == graph.output or any(user.name not in inner for user in graph.users(node.name))
    )
    last = {group[0].name: group[-1] for group in groups}
    return result + [_end(f"{name}/out", "output", last[name], (name,)) for name in leaving]


def _end(name: str, word: str, node: Node, inputs: tuple[str, ...]) -> Box:
    text = f"{word} {words.size(node.shape)}"
    return Box(name, inputs, name, False, "end", (text,), node.name, node.shape)


def _grouped(graph: Graph, nodes: Sequence[Node]) -> list[list[Node]]:
    """The nodes of each box: a node with its batch norm and activation, or all parts of a channel split."""
    groups: dict[str, list[Node]] = {}
    first_of: dict[str, str] = {}
    splits: dict[tuple[str, int], str] = {}
    for node in nodes:
        key = (node.inputs[0], node.integer("axis")) if node.op == "slice" and _is_split(graph, node) else None
        if key in splits:
            first = splits[key]
        elif _follows(graph, node) and node.inputs[0] in first_of:
            first = first_of[node.inputs[0]]
        else:
            first = node.name
        if key is not None:
            splits.setdefault(key, first)
        first_of[node.name] = first
        groups.setdefault(first, []).append(node)
    return list(groups.values())


def _is_split(graph: Graph, node: Node) -> bool:
    siblings = _siblings(graph, node)
    return (
        len(siblings) > 1
        and sum(s.shape[node.integer("axis")] for s in siblings) == (graph[node.inputs[0]].shape[node.integer("axis")])
    )


def _siblings(graph: Graph, node: Node) -> list[Node]:
    """The slices of the same tensor along the same axis."""
    readers = graph.users(node.inputs[0])
    return [r for r in readers if r.op == "slice" and r.integer("axis") == node.integer("axis")]


def _follows(graph: Graph, node: Node) -> bool:
    flat = node.op == "reshape" and len(node.shape) == 1
    if not (node.op in FOLLOWERS or flat) or node.inputs[0] == graph.output:
        return False
    source = graph[node.inputs[0]]
    return source.op not in ("input", "slice", "constant") and len(graph.users(source.name)) == 1


def _box(graph: Graph, group: Sequence[Node], box_of: dict[str, str], total_madds: int) -> Box:
    first, last = group[0], group[-1]
    inputs = dict.fromkeys(box_of[name] for node in group for name in node.inputs if name in box_of)
    madds = sum(graph.madds(node) for node in group)
    path, own = module_path(first.name)
    return Box(
        name=first.name,
        inputs=tuple(name for name in inputs if name != first.name),
        path=path,
        own=own,
        kind=words.kind(graph, first),
        lines=_lines(graph, group, madds, madds / total_madds if total_madds else 0.0),
        tooltip="\n".join(node.name for node in group),
        shape=last.shape,
        madds=madds,
        share=madds / total_madds if total_madds else 0.0,
    )


def module_path(name: str) -> tuple[str, bool]:
    """The path of the module of a node, and whether the module's own code computes it (``path/add``)."""
    path, slash, _ = name.partition("#")[0].partition("/")
    return path, bool(slash)


def _lines(graph: Graph, group: Sequence[Node], madds: int, share: float) -> tuple[str, ...]:
    first, last = group[0], group[-1]
    if first.op == "input":
        return (f"input {words.size(first.shape)}",)
    if first.op == "slice" and len(group) > 1:
        axis = first.integer("axis")
        return ("split " + " | ".join(str(node.shape[axis]) for node in group), words.size(first.shape))
    head = " · ".join([words.title(graph, first), *(words.title(graph, node) for node in group[1:])])
    if first.op not in ("conv2d", "linear"):
        return (head, words.size(last.shape))
    before = graph[first.inputs[0]].shape[0]
    where = f" channels, {words.by(first.shape[1:])}" if len(first.shape) == 3 else " features"
    return head, f"{before} → {first.shape[0]}{where}", cost_line(madds, share)


def cost_line(madds: int, share: float) -> str:
    """``10.8 M MAdds · 3.6 %``."""
    return f"{numbers.amount(madds)} MAdds · {100 * share:.1f}\u00a0%"

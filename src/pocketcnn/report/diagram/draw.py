"""`draw`: draws a captured network, or one of its blocks, as SVG."""

from collections.abc import Sequence
from difflib import get_close_matches

from pocketcnn.errors import UsageError
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node
from pocketcnn.report import numbers
from pocketcnn.report.diagram import labels as words
from pocketcnn.report.diagram.boxes import boxes, module_path
from pocketcnn.report.diagram.layout import Item, arrange
from pocketcnn.report.diagram.repeats import Unit, as_boxes, collapsed
from pocketcnn.report.diagram.svg import box_size, label_size, render
from pocketcnn.report.diagram.units import units

DETAILS = ("layers", "blocks")
NAMES_SHOWN = 12


def draw(graph: Graph, *, title: str = "", block: str | None = None, detail: str = "layers") -> str:
    """Draw `graph` from top to bottom, as the text of an SVG file.

    A box is an operation with its batch norm and activation: kernel, stride (s), groups (g), channels, output shape, and its
    multiply-adds with their share of the total. Consecutive equal blocks are drawn once, with their number. Long drawings
    have several columns. The result is deterministic.

    Args:
        graph: any captured network.
        title: heading of the drawing.
        block: path of a module (``"features.3"``); only this module is drawn.
        detail: ``"layers"``, or ``"blocks"`` for one box for each block.

    Raises:
        UsageError: there is no module `block` in the graph (the message suggests similar names), or no such `detail`.
    """
    if detail not in DETAILS:
        raise UsageError(f"There is no detail {detail!r}; choose one of {', '.join(DETAILS)}.")
    nodes = graph.nodes if block is None else _nodes_of(graph, block)
    total = sum(graph.madds(node) for node in graph.nodes)
    found = units(boxes(graph, nodes, total), block or "")
    drawn = collapsed(as_boxes(found) if detail == "blocks" else found)
    return _render(drawn, title, _subtitle(graph, nodes, total, block), detail, columns=block is None)


def _nodes_of(graph: Graph, block: str) -> list[Node]:
    nodes = [node for node in graph.nodes if is_below(node.name, block)]
    if nodes:
        return nodes
    known = block_paths(graph)
    near = get_close_matches(block, [*known, *_all_paths(graph)], n=3, cutoff=0.6)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"Its blocks are {_listed(known)}."
    raise UsageError(f"The network has no module {block!r}. {hint}")


def is_below(name: str, path: str) -> bool:
    """Whether the node called `name` comes from the module at `path` or from one below it."""
    made_by = module_path(name)[0]
    return made_by == path or made_by.startswith(f"{path}.")


def block_paths(graph: Graph) -> list[str]:
    """The paths of the blocks of a network, in order."""
    blocks = units(boxes(graph, graph.nodes, 0))
    return list(dict.fromkeys(block.path for block in blocks if len(block.boxes) > 1))


def _all_paths(graph: Graph) -> list[str]:
    parts = [module_path(node.name)[0].split(".") for node in graph.nodes]
    return list(dict.fromkeys(".".join(p[:depth]) for p in parts for depth in range(1, len(p) + 1)))


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "") if names else "not named"


def _subtitle(graph: Graph, nodes: Sequence[Node], total: int, block: str | None) -> str:
    madds = sum(graph.madds(node) for node in nodes)
    tensors = {name for node in nodes for name in node.tensors.values()}
    trained = sum(
        graph.tensors[name].numel()
        for name in tensors
        if graph.tensors[name].is_floating_point() and not name.endswith(("running_mean", "running_var"))
    )
    share = f" ({100 * madds / total:.1f}\u00a0%)" if block is not None and total else ""
    figures = f"{numbers.amount(madds)} MAdds{share}, {numbers.amount(trained)} parameters"
    return figures if block is not None else f"{words.size(graph.input_shape)} in, {figures}"


def _render(drawn: Sequence[Unit], title: str, subtitle: str, detail: str, *, columns: bool) -> str:
    boxes_by_name = {box.name: box for unit in drawn for box in unit.boxes}
    inner = [number for number, unit in enumerate(drawn) if unit.boxes[0].kind != "end"]
    labelled = [number for number in inner if len(inner) > 1 and _has_label(drawn[number], detail)]
    items = {}
    for number, unit in enumerate(drawn):
        label = label_size(unit) if number in labelled else None
        framed = number in labelled and len(unit.boxes) > 1
        for box in unit.boxes:
            width, height = box_size(box)
            items[box.name] = Item(width, height, box.inputs, number, framed, label)
    layout = arrange(items, columns=columns)
    return render(layout, boxes_by_name, drawn, labelled, title, subtitle)


def _has_label(unit: Unit, detail: str) -> bool:
    return len(unit.boxes) > 1 or unit.count > 1 or detail == "blocks"

"""Patch-based inference: activation memory if the first layers of a network are computed patch by patch.

Lin, Chen, Cai, Gan and Han, "Memory-efficient Patch-based Inference for Tiny Deep Learning" (MCUNetV2), 2021, section 3.1: the
first layers have the largest feature maps. Computed for one patch of the stage's output at a time, they need only the
patch's receptive field. The receptive fields of neighbouring patches overlap, and the overlap (halo) is computed again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from pocketcnn.cost.fusion import is_fused
from pocketcnn.cost.liveness import live_bytes, value_bytes
from pocketcnn.cost.receptive_field import Interval, is_local, needed
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node
from pocketcnn.graph.ops import OPS

GRIDS = (2, 3, 4, 5)
MOST_EXTRA = 1.0
"""Largest overhead of a plan, as a share of the network's multiply-adds."""
NEAR_BEST = 1.05
"""Plans within 5 % of the lowest peak count as equal; the one with the fewest multiply-adds is chosen."""

Intervals = Mapping[str, Interval]


@dataclass(frozen=True, slots=True)
class PatchPlan:
    """A plan that computes the first stage in `grid` x `grid` patches.

    Attributes:
        split: name of the last node of the stage; its whole value is in memory.
        grid: number of patches along each side.
        peak_bytes: peak bytes of activations, counted as `Cost.peak_activation_bytes`, with the whole image in memory.
        streamed_peak_bytes: the same if the image is streamed patch by patch.
        extra_madds: multiply-adds for the halos; negative if patches skip pixels that a stride leaves unread.
        field: (height, width) of the receptive field of the largest patch in the image.
    """

    split: str
    grid: int
    peak_bytes: int
    streamed_peak_bytes: int
    extra_madds: int
    field: tuple[int, int]


def best_of(plans: Sequence[PatchPlan]) -> PatchPlan | None:
    """The plan with the fewest multiply-adds among those within 5 % of the lowest peak; `plans` as from `patch_plans`."""
    enough = [plan for plan in plans if plan.peak_bytes <= NEAR_BEST * plans[0].peak_bytes]
    return min(enough, key=lambda plan: (plan.extra_madds, plan.peak_bytes), default=None)


def patch_plans(graph: Graph, grids: Sequence[int] = GRIDS) -> list[PatchPlan]:
    """The Pareto-optimal plans (peak memory, multiply-adds) that lower the peak, in order of increasing peak."""
    live = live_bytes(graph)
    now = max(live.values())
    found = [plan for split in splits(graph) for plan in _plans(graph, split, live, grids) if plan.peak_bytes < now]
    best: list[PatchPlan] = []
    for plan in sorted(found, key=lambda plan: (plan.peak_bytes, plan.extra_madds, plan.grid)):
        if not best or plan.extra_madds < best[-1].extra_madds:
            best.append(plan)
    return best


def splits(graph: Graph) -> list[str]:
    """The possible ends of a patch-based stage: all nodes before are local, and no other value of theirs is read later."""
    local = {graph.nodes[0].name}
    pending: set[str] = set()  # computed values that are read later
    readers = {node.name: len(graph.users(node.name)) for node in graph.nodes}
    found = []
    for node in graph.nodes:
        if node.op == "constant":
            continue
        sources = [name for name in node.inputs if graph[name].op != "constant"]
        for name in sources:
            readers[name] -= 1
            if readers[name] == 0:
                pending.discard(name)
        if node.op != "input" and not (is_local(graph, node) and local.issuperset(sources)):
            break
        local.add(node.name)
        if readers[node.name]:
            pending.add(node.name)
        if pending == {node.name} and _ends_a_layer(graph, node):
            found.append(node.name)
    return found


def first_global(graph: Graph) -> Node | None:
    """The first operation that needs its whole input: a patch-based stage must end before it. None if there is none."""
    computed = (node for node in graph.nodes if node.op not in ("input", "constant"))
    return next((node for node in computed if not is_local(graph, node)), None)


def _ends_a_layer(graph: Graph, node: Node) -> bool:
    """Whether `node` is a computed value that is not followed by a fused activation."""
    computed = node.op != "input" and not OPS[node.op].view
    return computed and not any(is_fused(graph, user) for user in graph.users(node.name))


def stage(graph: Graph, split: str) -> list[Node]:
    """`split` and all nodes that it is computed from, in execution order."""
    above = {split}
    for node in reversed(graph.nodes):
        if node.name in above:
            above.update(node.inputs)
    return [node for node in graph.nodes if node.name in above]


def patch_intervals(graph: Graph, split: str, axis: int, grid: int) -> list[dict[str, Interval]]:
    """For each patch along `axis`, the interval of every value of the stage that the patch needs."""
    size, nodes = graph[split].shape[1 + axis], stage(graph, split)
    return [_intervals(graph, nodes, axis, (index * size // grid, (index + 1) * size // grid)) for index in range(grid)]


def _intervals(graph: Graph, nodes: Sequence[Node], axis: int, part: Interval) -> dict[str, Interval]:
    parts = {nodes[-1].name: part}
    for node in reversed(nodes):
        for name in node.inputs:
            if graph[name].op == "constant":
                continue
            start, end = needed(graph, node, graph[name], axis, parts[node.name])
            known = parts.get(name, (start, end))
            parts[name] = min(start, known[0]), max(end, known[1])
    return parts


def _plans(graph: Graph, split: str, live: Mapping[str, int], grids: Sequence[int]) -> Iterator[PatchPlan]:
    nodes = stage(graph, split)
    inner = {node.name for node in nodes}
    after = max((bytes_ for name, bytes_ in live.items() if name not in inner), default=0)
    sizes = value_bytes(graph)
    image, output = sizes[nodes[0].name], sizes[split]
    if max(after, image + output) >= max(live.values()):
        return  # the memory outside the stage alone does not lower the peak
    widths = _bytes_a_pixel(graph, nodes, sizes)
    part = replace(graph, nodes=tuple(nodes), output=split)
    once, whole = (sum(graph.madds(node) for node in some) for some in (nodes, graph.nodes))
    for grid in grids:
        if grid > min(graph[split].shape[1:]):
            continue
        rows, columns = (patch_intervals(graph, split, axis, grid) for axis in (0, 1))
        extra = _madds(graph, nodes, rows, columns) - once
        if extra > MOST_EXTRA * whole:
            break  # a finer grid costs more
        areas = _areas(rows, columns)
        streamed = max(_peak(part, widths, area) for area in areas)
        held = max(_peak(part, widths | {nodes[0].name: 0}, area) for area in areas)
        yield PatchPlan(
            split=split,
            grid=grid,
            peak_bytes=max(after, image + output + held),
            streamed_peak_bytes=max(after, output + streamed),
            extra_madds=extra,
            field=(max(_lengths(rows, nodes[0])), max(_lengths(columns, nodes[0]))),
        )


def _bytes_a_pixel(graph: Graph, nodes: Sequence[Node], sizes: Mapping[str, int]) -> dict[str, int]:
    """Bytes per pixel of each value of the stage; 0 for values that are written directly into the stage's output."""
    widths = {node.name: sizes[node.name] // prod(node.shape[1:]) for node in nodes if node.op != "constant"}
    node = nodes[-1]
    widths[node.name] = 0
    while is_fused(graph, node):
        node = graph[node.inputs[0]]
        widths[node.name] = 0
    return widths


def _areas(rows: Sequence[Intervals], columns: Sequence[Intervals]) -> list[dict[str, int]]:
    """Number of pixels of each value for each patch, without patches that are dominated by another."""
    names = list(rows[0])
    heights, widths = (
        _largest([[_length(part[name]) for name in names] for part in parts]) for parts in (rows, columns)
    )
    return [
        dict(zip(names, (a * b for a, b in zip(height, width, strict=True)), strict=True))
        for height in heights
        for width in widths
    ]


def _largest(vectors: Sequence[Sequence[int]]) -> list[Sequence[int]]:
    best: list[Sequence[int]] = []
    for vector in sorted(vectors, key=sum, reverse=True):
        if not any(all(a >= b for a, b in zip(other, vector, strict=True)) for other in best):
            best.append(vector)
    return best


def _peak(part: Graph, widths: Mapping[str, int], areas: Mapping[str, int]) -> int:
    sizes = {node.name: widths.get(node.name, 0) * areas.get(node.name, 0) for node in part.nodes}
    return max(live_bytes(part, sizes).values())


def _madds(graph: Graph, nodes: Sequence[Node], rows: Sequence[Intervals], columns: Sequence[Intervals]) -> int:
    """Multiply-adds of all patches; those of a node are proportional to its output pixels."""
    return sum(
        graph.madds(node) // prod(node.shape[1:]) * sum(_lengths(rows, node)) * sum(_lengths(columns, node))
        for node in nodes
        if node.op != "constant"
    )


def _lengths(parts: Sequence[Intervals], node: Node) -> list[int]:
    return [_length(part[node.name]) for part in parts]


def _length(part: Interval) -> int:
    return part[1] - part[0]

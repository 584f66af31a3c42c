"""Layered drawing, part 2: the position of each vertex in its row, so that long edges are straight and boxes centred.

Brandes and Köpf, "Fast and Simple Horizontal Coordinate Assignment", 2001: vertices are lined up with a median neighbour, towards
each of the four corners in turn, and the mean of the two middle results is taken.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from pocketcnn.report.diagram.ranks import Rows, Vertex

Order = Sequence[Sequence[Vertex]]
Links = Mapping[Vertex, Sequence[Vertex]]


def places(rows: Rows, width: Mapping[Vertex, float], gap: float) -> dict[Vertex, float]:
    """The centre of each vertex; neighbours in a row are at least `gap` apart."""
    crossed = _crossed(rows)
    results = []
    for upward in (False, True):
        for mirrored in (False, True):
            order = [list(reversed(row)) if mirrored else list(row) for row in rows.order]
            if upward:
                order.reverse()
            found = _compact(order, _aligned(order, rows.below if upward else rows.above, crossed), width, gap)
            results.append({vertex: -x if mirrored else x for vertex, x in found.items()})
    return _middle(_flush(results, width), width)


def _crossed(rows: Rows) -> set[frozenset[Vertex]]:
    """Edges that cross a trunk, which has priority and stays straight."""
    place = {vertex: index for row in rows.order for index, vertex in enumerate(row)}
    crossed: set[frozenset[Vertex]] = set()
    for row in rows.order[:-1]:
        edges = [(upper, lower) for upper in row for lower in rows.below[upper]]
        inner = [edge for edge in edges if rows.is_trunk(edge[0]) and rows.is_trunk(edge[1])]
        for upper, lower in edges:
            if (upper, lower) not in inner and any(
                (place[upper] - place[a]) * (place[lower] - place[b]) < 0 for a, b in inner
            ):
                crossed.add(frozenset((upper, lower)))
    return crossed


def _aligned(order: Order, neighbours: Links, crossed: set[frozenset[Vertex]]) -> dict[Vertex, Vertex]:
    """For each vertex, the first vertex of its aligned column."""
    place = {vertex: index for row in order for index, vertex in enumerate(row)}
    root = {vertex: vertex for row in order for vertex in row}
    taken: set[Vertex] = set()
    for row in order:
        reached = -1
        for vertex in row:
            near = sorted(neighbours[vertex], key=place.__getitem__)
            middle = (len(near) - 1) / 2
            for index in dict.fromkeys((int(middle), int(middle + 0.5))) if near else ():
                other = near[index]
                free = other not in taken and place[other] > reached and frozenset((vertex, other)) not in crossed
                if root[vertex] == vertex and free:
                    root[vertex], reached = root[other], place[other]
                    taken.add(other)
    return root


def _compact(
    order: Order, root: Mapping[Vertex, Vertex], width: Mapping[Vertex, float], gap: float
) -> dict[Vertex, float]:
    """Move the columns to the left as far as possible, then to the right without moving others."""
    right_of: dict[Vertex, dict[Vertex, float]] = {column: {} for column in root.values()}
    left_of: dict[Vertex, dict[Vertex, float]] = {column: {} for column in root.values()}
    for row in order:
        for left, right in pairwise(row):
            apart = (width[left] + width[right]) / 2 + gap
            a, b = root[left], root[right]
            right_of[a][b] = left_of[b][a] = max(apart, right_of[a].get(b, 0.0))
    ordered = _topological(right_of, left_of)
    x: dict[Vertex, float] = {}
    for column in ordered:
        x[column] = max((x[other] + apart for other, apart in left_of[column].items()), default=0.0)
    for column in reversed(ordered):
        if right_of[column]:
            x[column] = max(x[column], min(x[other] - apart for other, apart in right_of[column].items()))
    return {vertex: x[column] for vertex, column in root.items()}


def _topological(
    after: Mapping[Vertex, Mapping[Vertex, float]], before: Mapping[Vertex, Mapping[Vertex, float]]
) -> list[Vertex]:
    waiting = {column: len(others) for column, others in before.items()}
    ready = [column for column, count in waiting.items() if count == 0]
    for column in ready:
        for other in after[column]:
            waiting[other] -= 1
            if waiting[other] == 0:
                ready.append(other)
    return ready


def _flush(results: Sequence[dict[Vertex, float]], width: Mapping[Vertex, float]) -> list[dict[Vertex, float]]:
    """Align the four results with the narrowest one: left ones at its left end, right ones at its right end."""

    def ends(found: Mapping[Vertex, float]) -> tuple[float, float]:
        return min(x - width[v] / 2 for v, x in found.items()), max(x + width[v] / 2 for v, x in found.items())

    narrowest = min(results, key=lambda found: ends(found)[1] - ends(found)[0])
    left, right = ends(narrowest)
    moved = []
    for index, found in enumerate(results):
        start, end = ends(found)
        move = right - end if index % 2 else left - start
        moved.append({vertex: x + move for vertex, x in found.items()})
    return moved


def _middle(results: Sequence[Mapping[Vertex, float]], width: Mapping[Vertex, float]) -> dict[Vertex, float]:
    found = {vertex: sum(sorted(result[vertex] for result in results)[1:3]) / 2 for vertex in results[0]}
    left = min(x - width[vertex] / 2 for vertex, x in found.items())
    return {vertex: round(x - left, 1) for vertex, x in found.items()}

"""Layered drawing, part 1: the row of each box, and the order of the boxes within a row.

Sugiyama, Tagawa and Toda, "Methods for Visual Understanding of Hierarchical System Structures", 1981. An edge over several rows
passes through one trunk vertex in each; all readers of a value share its trunk.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

Vertex = tuple[str, int]
"""(box, row): the box in its own row, or its trunk in a row below."""

SWEEPS = 12


def rows_of(inputs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The row of each box: one below the lowest box that it reads. `inputs` must be in topological order."""
    rows: dict[str, int] = {}
    for name, sources in inputs.items():
        rows[name] = 1 + max((rows[source] for source in sources), default=-1)
    return rows


class Rows:
    """The vertices row by row, and the edges between neighbouring rows."""

    def __init__(self, inputs: Mapping[str, Sequence[str]]) -> None:
        self.row = rows_of(inputs)
        self.above: dict[Vertex, list[Vertex]] = {}
        self.below: dict[Vertex, list[Vertex]] = {}
        self.order: list[list[Vertex]] = [[] for _ in range(1 + max(self.row.values()))]
        for name in inputs:
            self._add((name, self.row[name]))
        for name, sources in inputs.items():
            for source in sources:
                self._connect(source, name)

    def is_trunk(self, vertex: Vertex) -> bool:
        """Whether the vertex is part of an edge, not a box."""
        return self.row[vertex[0]] != vertex[1]

    def chain(self, source: str, target: str) -> list[Vertex]:
        """The vertices on the edge from `source` to `target`, including both."""
        rows = range(self.row[source], self.row[target])
        return [*((source, row) for row in rows), (target, self.row[target])]

    def _add(self, vertex: Vertex) -> None:
        if vertex not in self.above:
            self.above[vertex], self.below[vertex] = [], []
            self.order[vertex[1]].append(vertex)

    def _connect(self, source: str, target: str) -> None:
        chain = self.chain(source, target)
        for upper, lower in pairwise(chain):
            self._add(lower)
            if lower not in self.below[upper]:
                self.below[upper].append(lower)
                self.above[lower].append(upper)


def untangle(rows: Rows) -> None:
    """Order each row so that few edges cross: sweeps down and up that sort by the mean position of the neighbours."""
    best, fewest = [list(row) for row in rows.order], crossings(rows)
    for sweep in range(SWEEPS):
        if fewest == 0:
            break
        down = sweep % 2 == 0
        for row in rows.order[1:] if down else reversed(rows.order[:-1]):
            _sort(row, rows.above if down else rows.below, _places(rows.order))
        if (now := crossings(rows)) < fewest:
            best, fewest = [list(row) for row in rows.order], now
    rows.order[:] = best


def _places(order: Iterable[Sequence[Vertex]]) -> dict[Vertex, int]:
    return {vertex: place for row in order for place, vertex in enumerate(row)}


def _sort(row: list[Vertex], neighbours: Mapping[Vertex, Sequence[Vertex]], place: Mapping[Vertex, int]) -> None:
    def mean(vertex: Vertex) -> float:
        near = neighbours[vertex]
        return sum(place[other] for other in near) / len(near) if near else float(place[vertex])

    row.sort(key=mean)


def crossings(rows: Rows) -> int:
    """The number of crossing pairs of edges."""
    place = _places(rows.order)
    count = 0
    for row in rows.order[:-1]:
        seen: list[int] = []
        for vertex in row:
            ends = sorted(place[lower] for lower in rows.below[vertex])
            count += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return count

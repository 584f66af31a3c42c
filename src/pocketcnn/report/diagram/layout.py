"""Places boxes of known size on a page, in several columns if needed, and routes the edges between them.

An edge leaves its box downwards. It crosses a row of boxes only along a trunk, which has its own position in that row. It
bends in the space between rows.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from pocketcnn.report.diagram.coordinates import places
from pocketcnn.report.diagram.ranks import Rows, rows_of, untangle

Point = tuple[float, float]

GAP_X, GAP_Y, FRAME = 18.0, 26.0, 9.0
TRUNK = 6.0
GUTTER = 34.0
PAGE = 1.0
"""Preferred ratio of width to height, between those of screens and of paper."""
LONG = 1150.0
"""Height from which a drawing may have several columns."""


@dataclass(frozen=True)
class Item:
    """A box to place: its size, its inputs, the number of its block, and the size of the label of the block."""

    width: float
    height: float
    inputs: tuple[str, ...]
    unit: int
    framed: bool
    label: tuple[float, float] | None


@dataclass(frozen=True)
class Rectangle:
    """Left, top, right, bottom."""

    left: float
    top: float
    right: float
    bottom: float

    def moved(self, x: float, y: float) -> "Rectangle":
        """The same rectangle, moved."""
        return Rectangle(self.left + x, self.top + y, self.right + x, self.bottom + y)

    def grown(self, by: float) -> "Rectangle":
        """The rectangle enlarged by `by` on every side."""
        return Rectangle(self.left - by, self.top - by, self.right + by, self.bottom + by)

    def meets(self, other: "Rectangle") -> bool:
        """Whether both rectangles overlap."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


def around(rectangles: Sequence[Rectangle]) -> Rectangle:
    """The smallest rectangle that contains all."""
    return Rectangle(
        min(r.left for r in rectangles),
        min(r.top for r in rectangles),
        max(r.right for r in rectangles),
        max(r.bottom for r in rectangles),
    )


@dataclass(frozen=True)
class Route:
    """An edge as points from box to box. It bends between points with different x; `square` edges have corners instead."""

    source: str
    target: str
    points: tuple[Point, ...]
    square: bool = False


@dataclass
class Layout:
    """The positions of all elements. `frames` and `labels` (left, top) are by block."""

    boxes: dict[str, Rectangle] = field(default_factory=dict)
    frames: dict[int, Rectangle] = field(default_factory=dict)
    routes: list[Route] = field(default_factory=list)
    labels: dict[int, Point] = field(default_factory=dict)
    width: float = 0.0
    height: float = 0.0


def arrange(items: Mapping[str, Item], *, columns: bool) -> Layout:
    """Place `items`, which must be in topological order.

    With `columns`, a long drawing is split into columns at boxes that are the only input of all that follows.
    """
    pieces = _pieces(items)
    placed = [_column(items, group) for group in _groups(items, pieces, columns)]
    return _side_by_side(placed)


def _pieces(items: Mapping[str, Item]) -> list[list[str]]:
    """The items, split at the end of a block wherever all that follows reads a single box."""
    inputs = {name: item.inputs for name, item in items.items()}
    row = rows_of(inputs)
    busy = [0] * (2 + max(row.values()))
    last_reader = dict(row)
    for name, sources in inputs.items():
        for source in sources:
            last_reader[source] = max(last_reader[source], row[name])
    for name, start in row.items():
        for crossed in range(start, max(last_reader[name], start + 1)):
            busy[crossed] += 1
    narrow = {row[name]: name for name in items if busy[row[name]] == 1}
    ends = sorted(r for r, name in narrow.items() if _ends_unit(items, name))
    pieces: list[list[str]] = [[] for _ in range(len(ends) + 1)]
    for name in items:
        pieces[sum(end < row[name] for end in ends)].append(name)
    return [piece for piece in pieces if piece]


def _ends_unit(items: Mapping[str, Item], name: str) -> bool:
    readers = [item for item in items.values() if name in item.inputs]
    return all(item.unit != items[name].unit for item in readers)


@dataclass
class _Column:
    """A part of the drawing from top to bottom; `entry` is the point where the edge from the previous column enters."""

    layout: Layout
    entry: str | None
    exit: str


def _groups(items: Mapping[str, Item], pieces: Sequence[list[str]], columns: bool) -> list[list[str]]:
    """Combine pieces to columns, with the number of columns that fills a page best."""
    sizes = [_column(items, piece).layout for piece in pieces]
    heights = [size.height + GAP_Y for size in sizes]
    most = len(pieces) if columns and sum(heights) > LONG else 1

    def shape(number: int) -> float:
        split = _balanced(heights, number)
        height = max(sum(heights[index] for index in part) for part in split)
        width = sum(max(sizes[index].width for index in part) + GUTTER for part in split)
        return abs(math.log(width / height / PAGE))

    number = min(range(1, most + 1), key=shape)
    return [[name for index in part for name in pieces[index]] for part in _balanced(heights, number)]


def _balanced(heights: Sequence[float], number: int) -> list[list[int]]:
    """Divide the pieces into at most `number` consecutive groups with the smallest maximal height."""
    low, high = max(heights), sum(heights)
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if len(_filled(heights, middle)) <= number else (middle, high)
    return _filled(heights, high)


def _filled(heights: Sequence[float], limit: float) -> list[list[int]]:
    groups: list[list[int]] = [[]]
    height = 0.0
    for index, own in enumerate(heights):
        if groups[-1] and height + own > limit * (1 + 1e-9):
            groups.append([])
            height = 0.0
        groups[-1].append(index)
        height += own
    return groups


def _column(items: Mapping[str, Item], names: Sequence[str]) -> _Column:
    """Place one column. Its input from the previous column enters at a point at its top."""
    inner = set(names)
    outside = dict.fromkeys(source for name in names for source in items[name].inputs if source not in inner)
    local = {name: Item(0, 0, (), -1, False, None) for name in outside} | {name: items[name] for name in names}
    rows = Rows({name: item.inputs for name, item in local.items()})
    untangle(rows)
    width = {v: TRUNK if rows.is_trunk(v) or v[0] in outside else local[v[0]].width for row in rows.order for v in row}
    x = places(rows, width, GAP_X)
    tops, bottoms = _heights(rows, local, x)
    layout = Layout()
    for name in names:
        item, at = local[name], (name, rows.row[name])
        left, top = x[at] - item.width / 2, tops[rows.row[name]]
        layout.boxes[name] = Rectangle(left, top, left + item.width, top + item.height)
    for name in outside:
        layout.boxes[name] = Rectangle(x[name, 0], tops[0], x[name, 0], tops[0])
    for name, item in local.items():
        for source in item.inputs:
            chain = rows.chain(source, name)
            points = [(x[chain[0]], layout.boxes[source].bottom), (x[chain[0]], bottoms[chain[0][1]])]
            points += [(x[v], y) for v in chain[1:-1] for y in (tops[v[1]], bottoms[v[1]])]
            points.append((x[chain[-1]], tops[chain[-1][1]]))
            layout.routes.append(Route(source, name, tuple(dict.fromkeys(points))))
    _frame(layout, local)
    _label(layout, local)
    return _Column(_measured(layout, local), next(iter(outside), None), names[-1])


def _heights(
    rows: Rows, items: Mapping[str, Item], x: Mapping[tuple[str, int], float]
) -> tuple[list[float], list[float]]:
    """Top and bottom of each row. The space between rows grows with the horizontal length of edges, and between blocks."""
    tops, bottoms = [0.0], []
    for number, row in enumerate(rows.order):
        bottoms.append(tops[-1] + max((items[v[0]].height for v in row if not rows.is_trunk(v)), default=0.0))
        sideways = max((abs(x[v] - x[lower]) for v in row for lower in rows.below[v]), default=0.0)
        above, below = (
            {items[v[0]].unit for v in rows.order[n] if not rows.is_trunk(v) and items[v[0]].framed}
            for n in (number, min(number + 1, len(rows.order) - 1))
        )
        frames = FRAME * (bool(above - below) + bool(below - above))
        tops.append(bottoms[-1] + GAP_Y + min(sideways / 14, 40.0) + frames)
    return tops, bottoms


def _frame(layout: Layout, items: Mapping[str, Item]) -> None:
    """A frame around each block with adjacent boxes, including the edges between them."""
    for unit, names in _units(items).items():
        if not items[names[0]].framed:
            continue
        inner = around([layout.boxes[name] for name in names])
        passing = [x for r in layout.routes if r.target in names for x, y in r.points if inner.top <= y <= inner.bottom]
        left, right = min([inner.left, *passing]), max([inner.right, *passing])
        frame = Rectangle(left, inner.top, right, inner.bottom).grown(FRAME)
        others = (box for name, box in layout.boxes.items() if name not in names)
        if not any(frame.meets(box) for box in others):
            layout.frames[unit] = frame


def _label(layout: Layout, items: Mapping[str, Item]) -> None:
    """The position of each label: beside the upper end of its block, to the right of everything there."""
    for unit, names in _units(items).items():
        label = items[names[0]].label
        if label is None:
            continue
        beside = layout.frames.get(unit, layout.boxes[names[0]])
        band = Rectangle(-math.inf, beside.top, math.inf, beside.top + label[1])
        rights = [area.right for area in (*layout.boxes.values(), *layout.frames.values()) if area.meets(band)]
        lines = [part for route in layout.routes for part in segments(route)]
        rights += [max(a[0], b[0]) for a, b in lines if a[1] < band.bottom and b[1] > band.top]
        layout.labels[unit] = (max(rights) + 6, beside.top)


def _units(items: Mapping[str, Item]) -> dict[int, list[str]]:
    units: dict[int, list[str]] = {}
    for name, item in items.items():
        units.setdefault(item.unit, []).append(name)
    return units


def _measured(layout: Layout, items: Mapping[str, Item]) -> Layout:
    """The layout moved to start at 0, with the size of everything that is drawn."""
    whole = around([*layout.boxes.values(), *layout.frames.values()])
    width = {item.unit: item.label[0] for item in items.values() if item.label}
    labels = [x + width[unit] for unit, (x, _) in layout.labels.items()]
    lines = [x for route in layout.routes for x, _ in route.points]
    left, right = min([whole.left, *lines]), max([whole.right, *lines, *labels])
    return _moved(layout, -left, -whole.top, right - left, whole.bottom - whole.top)


def _moved(layout: Layout, right: float, down: float, width: float, height: float) -> Layout:
    def move(point: Point) -> Point:
        return round(point[0] + right, 1), round(point[1] + down, 1)

    return Layout(
        boxes={name: box.moved(right, down) for name, box in layout.boxes.items()},
        frames={unit: frame.moved(right, down) for unit, frame in layout.frames.items()},
        routes=[replace(route, points=tuple(map(move, route.points))) for route in layout.routes],
        labels={unit: move(point) for unit, point in layout.labels.items()},
        width=width,
        height=height,
    )


def _side_by_side(columns: Sequence[_Column]) -> Layout:
    whole = Layout(height=max(column.layout.height for column in columns))
    edge = 14.0 if len(columns) > 1 else 0.0  # room above and below for the edges from column to column
    whole.height += 2 * edge
    before: tuple[str, Rectangle, float] | None = None
    x = 0.0
    for column in columns:
        part = _moved(column.layout, x, edge, column.layout.width, column.layout.height)
        entry = part.boxes.pop(column.entry) if column.entry else None
        if before is not None and entry is not None:
            source, box, bottom = before
            start, end, way = (box.left + box.right) / 2, entry.left, x - GUTTER / 2
            corners = ((start, box.bottom), (start, bottom + edge), (way, bottom + edge), (way, 0.0), (end, 0.0))
            points = (*corners, (end, entry.top))
            whole.routes.append(Route(source, source, tuple((round(a, 1), round(b, 1)) for a, b in points), True))
        whole.boxes |= part.boxes
        whole.frames |= part.frames
        whole.routes += part.routes
        whole.labels |= part.labels
        before = (column.exit, part.boxes[column.exit], edge + column.layout.height)
        x += column.layout.width + GUTTER
    whole.width = x - GUTTER
    return whole


def segments(route: Route) -> list[tuple[Point, Point]]:
    """The straight and bent segments of an edge."""
    return list(pairwise(route.points))

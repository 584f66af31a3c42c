"""A chart as data: axes, lines and marks at positions in an SVG view box; `templates/charts.html` draws it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from pocketcnn.report.scale import Scale

WIDTH, HEIGHT = 440, 280
LEFT, RIGHT, TOP, BOTTOM = 50, WIDTH - 14, 30, HEIGHT - 42
LETTER, LINE = 6.6, 13  # width and height of a letter of the labels, in view-box units
REACH = 8  # distance from a mark to its label
APART = 7  # distance between marks that would overlap

Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""
FRAME: Box = (LEFT, TOP - LINE, WIDTH, BOTTOM)
"""The area for labels."""


@dataclass(frozen=True)
class Tick:
    """A tick of an axis: position and text."""

    position: float
    text: str


@dataclass(frozen=True)
class Axis:
    """The label and the ticks of an axis."""

    label: str
    ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class Label:
    """A label beside a mark; `anchor` is the SVG attribute text-anchor."""

    x: float
    y: float
    anchor: str
    text: str


@dataclass(frozen=True)
class Mark:
    """A point. `kind` determines its shape and colour; `low` and `high` are the ends of its interval, if it has one."""

    x: float
    y: float
    kind: str
    tooltip: str
    low: float | None = None
    high: float | None = None
    text: str = ""
    label: Label | None = None


@dataclass(frozen=True)
class Line:
    """A polyline; `kind` determines its colour."""

    points: tuple[Point, ...]
    kind: str
    tooltip: str

    @property
    def path(self) -> str:
        """The SVG attribute points: ``x,y x,y …``."""
        return " ".join(f"{x:g},{y:g}" for x, y in self.points)


@dataclass(frozen=True)
class Plot:
    """A chart; `summary` describes it for screen readers."""

    summary: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...]
    marks: tuple[Mark, ...]


def x_scale(values: Sequence[float], *, log: bool = False) -> Scale:
    """A scale over the width of a plot, for values of at least 0."""
    return Scale.around(values, LEFT, RIGHT, bounds=(0.0, float("inf")), log=log)


def share_scale(shares: Sequence[float]) -> Scale:
    """A scale over the height of a plot, from bottom to top, for shares from 0 to 1."""
    return Scale.around(shares, BOTTOM, TOP, bounds=(0.0, 1.0))


def axis(label: str, scale: Scale, write: Callable[[float], str]) -> Axis:
    """The axis of `scale`; `write` formats its numbers."""
    return Axis(label, tuple(Tick(scale(value), write(value)) for value in scale.ticks()))


def beside_each_other(positions: Sequence[float]) -> list[float]:
    """The positions, with overlapping ones moved to the right."""
    return [x + APART * sum(abs(x - other) < APART for other in positions[:index]) for index, x in enumerate(positions)]


def with_labels(marks: Sequence[Mark], lines: Sequence[Line] = (), *, within: Box = FRAME) -> tuple[Mark, ...]:
    """The marks with placed labels: inside `within`, and if possible without covering marks, lines or other labels."""
    taken = [_around((mark.x, mark.y), 5) for mark in marks]
    taken += [_around(point, 1) for line in lines for point in _along(line)]
    placed, words = [], list[Box]()
    for mark in marks:
        if mark.text:
            label = _free_place(mark, taken, words, within)
            words.append(_box(label))
            mark = replace(mark, label=label)
        placed.append(mark)
    return tuple(placed)


def _free_place(mark: Mark, taken: Sequence[Box], words: Sequence[Box], within: Box) -> Label:
    """The first free position; if there is none, the one that covers the fewest labels, then the fewest marks."""
    inside = [label for label in _places(mark) if _is_inside(_box(label), within)] or list(_places(mark))

    def covered(label: Label) -> tuple[int, int]:
        box = _box(label)
        return sum(_overlap(box, word) for word in words), sum(_overlap(box, other) for other in taken)

    return min(inside, key=covered)


def _places(mark: Mark) -> Iterator[Label]:
    """Candidate positions: right, left, above, below and the corners; then the same further away."""
    for reach in (REACH, 2.5 * REACH, 5 * REACH):
        yield Label(mark.x + reach, mark.y + 4, "start", mark.text)
        yield Label(mark.x - reach, mark.y + 4, "end", mark.text)
        yield Label(mark.x, mark.y - reach, "middle", mark.text)
        yield Label(mark.x, mark.y + reach + 9, "middle", mark.text)
        for up in (-reach, reach + 9):
            yield Label(mark.x + reach, mark.y + up, "start", mark.text)
            yield Label(mark.x - reach, mark.y + up, "end", mark.text)


def _along(line: Line) -> Iterator[Point]:
    for (x, y), (next_x, next_y) in pairwise(line.points):
        steps = max(1, round(max(abs(next_x - x), abs(next_y - y)) / LINE * 2))
        yield from ((x + (next_x - x) * n / steps, y + (next_y - y) * n / steps) for n in range(steps + 1))


def _around(point: Point, reach: float) -> Box:
    x, y = point
    return (x - reach, y - reach, x + reach, y + reach)


def _box(label: Label) -> Box:
    width = LETTER * len(label.text)
    left = label.x - {"start": 0.0, "middle": width / 2, "end": width}[label.anchor]
    return (left, label.y - LINE + 3, left + width, label.y + 3)


def _is_inside(box: Box, frame: Box) -> bool:
    left, top, right, bottom = box
    return left >= frame[0] and top >= frame[1] and right <= frame[2] and bottom <= frame[3]


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]

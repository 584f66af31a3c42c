"""A drawing as data: axes, lines and marks at positions in an SVG view box; `templates/charts.html` turns it into SVG."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from pocketcnn.report.scale import Scale

WIDTH, HEIGHT = 440, 280
LEFT, RIGHT, TOP, BOTTOM = 50, WIDTH - 14, 30, HEIGHT - 42
LETTER, LINE = 6.6, 13  # width and height of a letter of the labels, in the units of the view box
REACH = 8  # from a mark to its label
APART = 7  # between marks that would hide each other

Point = tuple[float, float]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""
FRAME: Box = (LEFT, TOP - LINE, WIDTH, BOTTOM)
"""Where labels may stand."""


@dataclass(frozen=True)
class Tick:
    """A number along an axis."""

    position: float
    text: str


@dataclass(frozen=True)
class Axis:
    """What an axis measures, and its numbers."""

    label: str
    ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class Label:
    """A word beside a mark; `anchor` is SVG's text-anchor."""

    x: float
    y: float
    anchor: str
    text: str


@dataclass(frozen=True)
class Mark:
    """A point. `kind` decides its shape and colour; `low` and `high` are the ends of its interval, if it has one."""

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
    """Positions that belong together."""

    points: tuple[Point, ...]
    kind: str
    tooltip: str

    @property
    def path(self) -> str:
        """SVG's ``x,y x,y …``."""
        return " ".join(f"{x:g},{y:g}" for x, y in self.points)


@dataclass(frozen=True)
class Plot:
    """A chart; `summary` says in words what it shows, for those who cannot see it."""

    summary: str
    x: Axis
    y: Axis
    lines: tuple[Line, ...]
    marks: tuple[Mark, ...]


def x_scale(values: Sequence[float], *, log: bool = False) -> Scale:
    """A scale over the width of a plot, for values that are never negative."""
    return Scale.around(values, LEFT, RIGHT, bounds=(0.0, float("inf")), log=log)


def share_scale(shares: Sequence[float]) -> Scale:
    """A scale over the height of a plot (up is more), for shares from 0 to 1."""
    return Scale.around(shares, BOTTOM, TOP, bounds=(0.0, 1.0))


def axis(label: str, scale: Scale, write: Callable[[float], str]) -> Axis:
    """The axis of `scale`, its numbers written by `write`."""
    return Axis(label, tuple(Tick(scale(value), write(value)) for value in scale.ticks()))


def beside_each_other(positions: Sequence[float]) -> list[float]:
    """The positions, moved a little to the right where another came before at the same place."""
    return [x + APART * sum(abs(x - other) < APART for other in positions[:index]) for index, x in enumerate(positions)]


def with_labels(marks: Sequence[Mark], lines: Sequence[Line] = (), *, within: Box = FRAME) -> tuple[Mark, ...]:
    """The marks with their `text` placed beside them: `within`, and off marks, lines and each other where it can be."""
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
    """The first free place; where none is, the first that covers the fewest marks, and no other label if it can be."""
    inside = [label for label in _places(mark) if _is_inside(_box(label), within)] or list(_places(mark))

    def covered(label: Label) -> tuple[int, int]:
        box = _box(label)
        return sum(_overlap(box, word) for word in words), sum(_overlap(box, other) for other in taken)

    return min(inside, key=covered)


def _places(mark: Mark) -> Iterator[Label]:
    """Right, left, above, below, and the corners; then the same further away."""
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

"""Published accuracy against cost: which points are drawn, and the drawing as an SVG file."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import hypot
from typing import Any

from benchmarks.network_pages.families import FAMILIES, Family, family_of
from benchmarks.network_pages.nominal import nominal_rows
from benchmarks.network_pages.tables import IMAGENET, Timings
from pocketcnn.models import list_models
from pocketcnn.models.published import Published, read_published
from pocketcnn.report.plot import Axis, Label, Line, Mark, Plot, axis, with_labels
from pocketcnn.report.scale import Scale

WIDTH, HEIGHT = 980, 620
FRAME = (62.0, 34.0, WIDTH - 20.0, HEIGHT - 46.0)
"""Left, top, right, bottom of the axes."""
FAR = 20.0
"""From a mark to its label: further away a line joins them."""


@dataclass(frozen=True)
class Point:
    """A published accuracy in percent, and what it costs; `row` says of what."""

    cost: float
    top1: float
    row: Published

    @property
    def family(self) -> Family:
        return family_of(self.row.network)


def published_points(cost: Callable[[Published], float | None]) -> list[Point]:
    """Every recounted ImageNet row with an accuracy; of those with the same cost the most accurate of a family."""
    best: dict[tuple[str, float], Point] = {}
    for row in read_published():
        found = cost(row) if row.network in list_models() and row.dataset == IMAGENET else None
        if found is None or row.top1 is None:
            continue
        point = Point(found, row.top1, row)
        key = (point.family.page, found)
        if key not in best or best[key].top1 < point.top1:
            best[key] = point
    return list(best.values())


def timed_points(timings: Timings, form: str) -> list[Point]:
    """Every network for ImageNet that was timed, in the form in which it was published; cost in milliseconds."""
    rows = [row for row in nominal_rows().values() if row.dataset == IMAGENET and row.top1 is not None]
    records: Mapping[str, Any] = timings["networks"]
    return [
        Point(1e3 * records[row.network][form]["median"], row.top1 or 0, row) for row in rows if row.network in records
    ]


def front(points: Iterable[Point]) -> list[Point]:
    """Those that no cheaper one equals in accuracy, by cost."""
    kept: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, -point.top1)):
        if not kept or point.top1 > kept[-1].top1:
            kept.append(point)
    return kept


def by_published_cost(label: str, cost: Callable[[Published], float | None], write: Callable[[float], str]) -> Plot:
    """All published points; each family's best ones are joined by a line with its name."""
    points = published_points(cost)
    x, y = scales(points)
    lines, marks = [], []
    for family in FAMILIES:
        own = [point for point in points if point.family == family]
        best = front(own)
        lines.append(Line(tuple((x(point.cost), y(point.top1)) for point in best), family.page, family.title))
        for point in own:
            kind = family.page if point in best else f"{family.page} lesser"
            text = family.title if point == best[0 if family.named_at_its_smallest else -1] else ""
            marks.append(Mark(x(point.cost), y(point.top1), kind, _tooltip(point, write(point.cost)), text=text))
    return _plot(f"Published accuracy on ImageNet against {label}", label, x, y, write, lines, marks)


def by_latency(timings: Timings, write: Callable[[float], str]) -> Plot:
    """Every network by name at its float32 latency, joined with a mark at its int8 latency."""
    floats, integers = timed_points(timings, "float32"), timed_points(timings, "int8")
    x, y = scales([*floats, *integers])
    lines, marks = [], []
    for slow, fast in zip(floats, integers, strict=True):
        places = [(x(point.cost), y(point.top1)) for point in (slow, fast)]
        lines.append(Line(tuple(places), slow.family.page, slow.row.network))
        tip = f"{_tooltip(slow, write(slow.cost))}, int8 {write(fast.cost)}"
        marks.append(Mark(*places[1], f"{slow.family.page} hollow", tip))
        marks.append(Mark(*places[0], slow.family.page, tip, text=slow.row.network))
    label = "milliseconds for one image, one thread (filled float32, hollow int8)"
    return _plot("Published accuracy on ImageNet against latency measured here", label, x, y, write, lines, marks)


def scales(points: Sequence[Point]) -> tuple[Scale, Scale]:
    """Logarithmic in the cost, even in the accuracy."""
    left, top, right, bottom = FRAME
    return (
        Scale.around([point.cost for point in points], left, right, log=True),
        Scale.around([point.top1 for point in points], bottom, top, bounds=(0.0, 100.0)),
    )


def _plot(
    summary: str,
    label: str,
    x: Scale,
    y: Scale,
    write: Callable[[float], str],
    lines: Sequence[Line],
    marks: Sequence[Mark],
) -> Plot:
    return Plot(
        summary=summary,
        x=axis(label, x, write),
        y=axis("published top-1 accuracy on ImageNet", y, lambda value: f"{value:g} %"),
        lines=tuple(lines),
        marks=with_labels(marks, lines, within=FRAME),
    )


def _tooltip(point: Point, cost: str) -> str:
    row = point.row
    return f"{row.network}: {row.paper} {row.variant}, {row.side}: {row.top1:g} %, {cost}"


def svg(plot: Plot) -> str:
    """The drawing as a file of its own, on a white ground, so that it reads in light and in dark surroundings."""
    left, top, right, bottom = FRAME
    colours = {family.page: family.colour for family in FAMILIES}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'role="img" font-family="system-ui, \'Segoe UI\', Roboto, Helvetica, Arial, sans-serif" font-size="12">',
        f"<title>{escape(plot.summary)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#ffffff"/>',
        *_ticks(
            plot.x, lambda at: f'x1="{at}" x2="{at}" y1="{top}" y2="{bottom}"', lambda at: (at, bottom + 18, "middle")
        ),
        *_ticks(
            plot.y, lambda at: f'x1="{left}" x2="{right}" y1="{at}" y2="{at}"', lambda at: (left - 8, at + 4, "end")
        ),
        f'<text x="{left}" y="20" fill="#566172" font-weight="600">{escape(plot.y.label)}</text>',
        f'<text x="{right}" y="{HEIGHT - 10}" fill="#566172" font-weight="600" text-anchor="end">{escape(plot.x.label)}</text>',
        *(_line(line, colours[line.kind]) for line in plot.lines if len(line.points) > 1),
        *(_leader(mark, mark.label, colours[mark.kind.split()[0]]) for mark in plot.marks if mark.label),
        *(_mark(mark, colours[mark.kind.split()[0]]) for mark in plot.marks),
        *(_label(mark.label, colours[mark.kind.split()[0]]) for mark in plot.marks if mark.label),
        "</svg>",
    ]
    return "\n".join(filter(None, parts)) + "\n"


def _ticks(
    axis: Axis, ends: Callable[[float], str], place: Callable[[float], tuple[float, float, str]]
) -> Iterable[str]:
    for tick in axis.ticks:
        x, y, anchor = place(tick.position)
        yield f'<line {ends(tick.position)} stroke="#e3e7ed"/>'
        yield f'<text x="{x:g}" y="{y:g}" fill="#566172" text-anchor="{anchor}">{escape(tick.text)}</text>'


def _line(line: Line, colour: str) -> str:
    return f'<polyline points="{line.path}" fill="none" stroke="{colour}" stroke-width="1.6" opacity="0.6"/>'


def _mark(mark: Mark, colour: str) -> str:
    lesser, hollow = mark.kind.endswith("lesser"), mark.kind.endswith("hollow")
    fill = "#ffffff" if hollow else colour
    faint = ' opacity="0.45"' if lesser else ""
    return (
        f'<circle cx="{mark.x:g}" cy="{mark.y:g}" r="{2.5 if lesser else 4}" fill="{fill}" stroke="{colour}" '
        f'stroke-width="1.4"{faint}><title>{escape(mark.tooltip)}</title></circle>'
    )


def _leader(mark: Mark, label: Label, colour: str) -> str:
    """A thin line to a label that found no place near its mark."""
    if hypot(label.x - mark.x, label.y - mark.y) < FAR:
        return ""
    y = label.y - 4 if label.anchor != "middle" else label.y - (10 if label.y > mark.y else -3)
    return f'<path d="M{mark.x:g} {mark.y:g}L{label.x:g} {y:g}" stroke="{colour}" stroke-width="0.8" opacity="0.5"/>'


def _label(label: Label, colour: str) -> str:
    return (
        f'<text x="{label.x:g}" y="{label.y:g}" text-anchor="{label.anchor}" fill="{colour}" font-size="11" '
        f'paint-order="stroke" stroke="#ffffff" stroke-width="3">{escape(label.text)}</text>'
    )

"""Published accuracy against cost: which points are drawn, and the chart as an SVG file."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import hypot
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.charts import as_svg, axes
from benchmarks.network_pages.families import FAMILIES, Family, family_of
from benchmarks.network_pages.nominal import nominal_rows
from benchmarks.network_pages.tables import IMAGENET, Timings
from pocketcnn.models import list_models
from pocketcnn.models.published import Published, read_published
from pocketcnn.report.plot import Label, Line, Mark, with_labels

WIDTH, HEIGHT = 980, 620
FRAME = (62.0, 34.0, WIDTH - 20.0, HEIGHT - 46.0)
"""Left, top, right, bottom of the axes, in points."""
FAR = 20.0
"""From a mark to its label, in points: further away a line joins them."""
ALIGNMENT = {"start": "left", "middle": "center", "end": "right"}


@dataclass(frozen=True)
class Point:
    """A published accuracy in percent, and what it costs; `row` says of what."""

    cost: float
    top1: float
    row: Published

    @property
    def family(self) -> Family:
        return family_of(self.row.network)


@dataclass(frozen=True)
class Spot:
    """A point as it is drawn: `text` beside it, `tooltip` over it, in the colour of its family."""

    point: Point
    tooltip: str
    text: str = ""
    faint: bool = False
    hollow: bool = False


@dataclass(frozen=True)
class Chart:
    """What is drawn, in the units of its axes; points of a line belong together."""

    summary: str
    cost: str
    write: Callable[[float], str]
    lines: list[Sequence[Point]] = field(default_factory=list)
    spots: list[Spot] = field(default_factory=list)


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


def by_published_cost(label: str, cost: Callable[[Published], float | None], write: Callable[[float], str]) -> Chart:
    """All published points; each family's best ones are joined by a line with its name."""
    points = published_points(cost)
    chart = Chart(f"Published accuracy on ImageNet against {label}", label, write)
    for family in FAMILIES:
        own = [point for point in points if point.family == family]
        best = front(own)
        named = best[0 if family.named_at_its_smallest else -1]
        chart.lines.append(best)
        for point in own:
            text = family.title if point == named else ""
            chart.spots.append(Spot(point, _tooltip(point, write(point.cost)), text, faint=point not in best))
    return chart


def by_latency(timings: Timings, write: Callable[[float], str]) -> Chart:
    """Every network by name at its float32 latency, joined with a mark at its int8 latency."""
    label = "milliseconds for one image, one thread (filled float32, hollow int8)"
    chart = Chart("Published accuracy on ImageNet against latency measured here", label, write)
    for slow, fast in zip(timed_points(timings, "float32"), timed_points(timings, "int8"), strict=True):
        tip = f"{_tooltip(slow, write(slow.cost))}, int8 {write(fast.cost)}"
        chart.lines.append((slow, fast))
        chart.spots.append(Spot(fast, tip, hollow=True))
        chart.spots.append(Spot(slow, tip, slow.row.network))
    return chart


def svg(chart: Chart) -> str:
    """The chart as a file of its own, on a white ground, so that it reads in light and in dark surroundings."""
    drawn = _axes(chart)
    for line in chart.lines:
        if len(line) > 1:
            costs, accuracies = [point.cost for point in line], [point.top1 for point in line]
            drawn.plot(costs, accuracies, color=line[0].family.colour, linewidth=1.6, alpha=0.6)
    tooltips = {}
    for number, (spot, mark) in enumerate(zip(chart.spots, labelled(chart), strict=True)):
        tooltips[f"mark-{number}"] = spot.tooltip
        _draw_spot(drawn, spot, f"mark-{number}")
        if mark.label:
            _draw_label(drawn, spot, mark, mark.label)
    return as_svg(drawn, chart.summary, tooltips)


def labelled(chart: Chart) -> tuple[Mark, ...]:
    """Each spot where it lies in the file, in points from its upper left corner, with a free place for its text."""
    drawn = _axes(chart)

    def place(point: Point) -> tuple[float, float]:
        x, y = drawn.transData.transform((point.cost, point.top1))
        return float(x), HEIGHT - float(y)

    lines = [Line(tuple(map(place, line)), "", "") for line in chart.lines]
    return with_labels([Mark(*place(spot.point), "", "", text=spot.text) for spot in chart.spots], lines, within=FRAME)


def _axes(chart: Chart) -> Axes:
    """Logarithmic in the cost, even in the accuracy, around all spots."""
    drawn = axes(WIDTH, HEIGHT, FRAME)
    drawn.set_title("published top-1 accuracy on ImageNet", loc="left", fontsize=12, fontweight="bold")
    drawn.set_xlabel(chart.cost, loc="right", fontweight="bold")
    drawn.set_xscale("log")
    drawn.margins(0.08)
    drawn.update_datalim([(spot.point.cost, spot.point.top1) for spot in chart.spots])
    drawn.autoscale_view()
    drawn.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    drawn.xaxis.set_minor_locator(NullLocator())
    drawn.xaxis.set_major_formatter(FuncFormatter(lambda value, _: chart.write(value)))
    drawn.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    drawn.autoscale(False)
    return drawn


def _draw_spot(drawn: Axes, spot: Spot, name: str) -> None:
    colour = spot.point.family.colour
    drawn.plot(
        spot.point.cost,
        spot.point.top1,
        "o",
        gid=name,
        color=colour,
        markerfacecolor="#ffffff" if spot.hollow else colour,
        markersize=5 if spot.faint else 8,
        markeredgewidth=1.4,
        alpha=0.45 if spot.faint else 1,
    )


def _draw_label(drawn: Axes, spot: Spot, mark: Mark, label: Label) -> None:
    """The text beside its spot, with a thin line where it found no place near."""
    colour = spot.point.family.colour
    leader = {"arrowstyle": "-", "color": colour, "alpha": 0.5, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 4}
    drawn.annotate(
        label.text,
        (spot.point.cost, spot.point.top1),
        (label.x - mark.x, mark.y - label.y),
        textcoords="offset points",
        color=colour,
        fontsize=11,
        ha=ALIGNMENT[label.anchor],
        va="baseline",
        arrowprops=leader if hypot(label.x - mark.x, label.y - mark.y) >= FAR else None,
        bbox={"facecolor": "#ffffff", "alpha": 0.7, "linewidth": 0, "pad": 0.5},
    )


def _tooltip(point: Point, cost: str) -> str:
    row = point.row
    return f"{row.network}: {row.paper} {row.variant}, {row.side}: {row.top1:g} %, {cost}"

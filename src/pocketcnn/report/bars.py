"""Bar charts with one bar for each layer, as positions in an SVG view box; `templates/cost.html` draws them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pocketcnn.report.plot import Tick
from pocketcnn.report.scale import Scale

WIDTH, HEIGHT = 960, 190
LEFT, RIGHT, TOP, BOTTOM = 62, WIDTH - 8, 12, HEIGHT - 8


@dataclass(frozen=True)
class Bar:
    """One bar; `kind` determines its colour."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    tooltip: str


@dataclass(frozen=True)
class BarChart:
    """Bars of equal width from left to right; `summary` describes the chart in words."""

    summary: str
    ticks: tuple[Tick, ...]
    bars: tuple[Bar, ...]


def bar_chart(
    summary: str,
    values: Sequence[float],
    write: Callable[[float], str],
    names: Sequence[str],
    kinds: Sequence[str],
) -> BarChart:
    """A chart of `values` (not negative). `write` formats the numbers of the axis and of the tooltips."""
    scale = Scale(0.0, 1.05 * max(*values, 0.0) or 1.0, BOTTOM, TOP)
    step = (RIGHT - LEFT) / len(values)
    gap = min(0.15 * step, 2.0)
    bars = [
        Bar(
            round(LEFT + step * index + gap / 2, 2),
            scale(value),
            round(step - gap, 2),
            round(BOTTOM - scale(value), 1),
            kind,
            f"{name}: {write(value)}",
        )
        for index, (value, name, kind) in enumerate(zip(values, names, kinds, strict=True))
    ]
    return BarChart(summary, tuple(Tick(scale(tick), write(tick)) for tick in scale.ticks()), tuple(bars))

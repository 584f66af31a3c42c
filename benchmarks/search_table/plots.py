"""Curves of the best so far with their intervals, as SVG files: a pure function of the lines."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from benchmarks.charts import as_svg, axes
from benchmarks.search_table.setting import CONTROL, DATASETS, SETTINGS, STRATEGIES, TASKS
from benchmarks.search_table.statistics import interval

Document = Mapping[str, Any]
WIDTH, HEIGHT = 720, 440
FRAME = (58.0, 30.0, WIDTH - 120.0, HEIGHT - 44.0)
"""Left, top, right, bottom of the axes in points; names stand to the right."""

COLOURS = {
    CONTROL: "#777777",
    "evolution": "#1f77b4",
    "nsga2": "#9467bd",
    "halving": "#8c564b",
    "nasnet": "#d62728",
    "mnasnet": "#ff7f0e",
}
LINE = 14
"""Least distance between two names, in points."""


def drawing(documents: Sequence[Document]) -> dict[str, str]:
    """File names and their SVG, for every comparison that has run."""
    found: dict[str, str] = {}
    for setting in SETTINGS:
        suffix = "" if setting == "cpu" else f"-{setting}"
        for task in TASKS:
            curves = _curves(documents, setting, "synthetic", "task", task)
            if curves:
                label = "best so far, where 1 is the optimum" if task == "accuracy" else f"best {task} reward so far"
                found[f"search-{task}{suffix}.svg"] = svg(curves, label)
        for dataset in DATASETS:
            curves = _curves(documents, setting, "runs", "dataset", dataset)
            if curves:
                found[f"search-{dataset}{suffix}.svg"] = svg(
                    curves, "best validation accuracy within the budget so far"
                )
    return found


def _curves(
    documents: Sequence[Document], setting: str, part: str, name: str, value: str
) -> dict[str, list[list[float | None]]]:
    """For each strategy the curves of its seeds."""
    curves: dict[str, list[list[float | None]]] = {}
    for each in documents:
        if each["setting"] == setting and each["part"] == part and each[name] == value:
            curves.setdefault(each["strategy"], []).append(each["curve"])
    return {strategy: curves[strategy] for strategy in STRATEGIES if strategy in curves}


def svg(curves: Mapping[str, Sequence[Sequence[float | None]]], label: str) -> str:
    """Means over seeds against evaluations, with 95 % intervals as bands, from where all seeds have a value."""
    chart = axes(WIDTH, HEIGHT, FRAME)
    chart.set_title(label, loc="left", fontsize=12)
    chart.set_xlabel("evaluations", loc="right")
    bands = {strategy: band for strategy, of in curves.items() if (band := _band(of))}
    for strategy, band in bands.items():
        places, means, lows, highs = zip(*band, strict=True)
        colour = COLOURS[strategy]
        chart.fill_between(places, lows, highs, color=colour, alpha=0.15, linewidth=0)
        chart.plot(
            places,
            means,
            color=colour,
            linewidth=2,
            linestyle=(0, (3, 1.5)) if strategy == CONTROL else "-",
            gid=f"curve-{strategy}",
        )
    chart.set_xlim(0, max(len(curve) for of in curves.values() for curve in of))
    _name_the_ends(chart, {strategy: band[-1][:2] for strategy, band in bands.items()})
    return as_svg(chart, f"{label}, by evaluations, of {', '.join(bands)}")


def _band(of: Sequence[Sequence[float | None]]) -> list[tuple[int, float, float, float]]:
    """(evaluations, mean, low, high)."""
    found = []
    for place in range(min(map(len, of))):
        values = [value for curve in of if (value := curve[place]) is not None]
        if len(values) == len(of):
            middle = interval(values)
            found.append((place + 1, middle.mean, middle.low, middle.high))
    return found


def _name_the_ends(chart: Axes, ends: Mapping[str, tuple[float, float]]) -> None:
    """The strategies' names beside the ends of their curves, moved apart."""
    chart.autoscale_view(scalex=False)
    heights = {strategy: float(chart.transData.transform(end)[1]) for strategy, end in ends.items()}
    above = float("inf")
    for strategy, height in sorted(heights.items(), key=lambda each: -each[1]):
        above = min(height, above - LINE)
        chart.annotate(
            strategy,
            (1, ends[strategy][1]),
            (8, above - height),
            chart.get_yaxis_transform(),
            "offset points",
            color=COLOURS[strategy],
            fontsize=12,
            va="center",
        )

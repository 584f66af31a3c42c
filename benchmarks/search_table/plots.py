"""Curves of the best so far with their intervals, as SVG files: a pure function of the lines."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from benchmarks.search_table.setting import CONTROL, DATASETS, SETTINGS, STRATEGIES, TASKS
from benchmarks.search_table.statistics import interval
from pocketcnn.report.scale import Scale

Document = Mapping[str, Any]
WIDTH, HEIGHT = 720, 440
FRAME = (58.0, 30.0, WIDTH - 120.0, HEIGHT - 44.0)
"""Left, top, right, bottom of the axes; names stand to the right."""

COLOURS = {
    CONTROL: "#777777",
    "evolution": "#1f77b4",
    "nsga2": "#9467bd",
    "halving": "#8c564b",
    "nasnet": "#d62728",
    "mnasnet": "#ff7f0e",
}
LINE = 14
"""Least distance between two names."""


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
    bands = {strategy: _band(of) for strategy, of in curves.items()}
    values = [value for band in bands.values() for _, *ends in band for value in ends]
    left, top, right, bottom = FRAME
    x = Scale(0, max(len(curve) for of in curves.values() for curve in of), left, right)
    y = Scale.around(values, bottom, top, bounds=(0.0, 1.2))
    parts = [_axes(x, y, label)]
    ends = []
    for strategy, band in bands.items():
        if not band:
            continue
        colour = COLOURS[strategy]
        upper = [f"{x(place):g},{y(high):g}" for place, _, _, high in band]
        lower = [f"{x(place):g},{y(low):g}" for place, _, low, _ in reversed(band)]
        line = " ".join(f"{x(place):g},{y(mean):g}" for place, mean, _, _ in band)
        parts.append(f'<polygon points="{" ".join([*upper, *lower])}" fill="{colour}" opacity="0.15"/>')
        dash = ' stroke-dasharray="6 3"' if strategy == CONTROL else ""
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        ends.append((y(band[-1][1]), strategy))
    parts += _names(ends, right)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def _band(of: Sequence[Sequence[float | None]]) -> list[tuple[int, float, float, float]]:
    """(evaluations, mean, low, high)."""
    found = []
    for place in range(min(map(len, of))):
        values = [value for curve in of if (value := curve[place]) is not None]
        if len(values) == len(of):
            middle = interval(values)
            found.append((place + 1, middle.mean, middle.low, middle.high))
    return found


def _axes(x: Scale, y: Scale, label: str) -> str:
    left, top, right, bottom = FRAME
    parts = []
    for value in y.ticks():
        parts.append(f'<line x1="{left}" x2="{right}" y1="{y(value)}" y2="{y(value)}" stroke="#ddd"/>')
        parts.append(f'<text x="{left - 6}" y="{y(value) + 4}" text-anchor="end">{value:g}</text>')
    for value in x.ticks():
        parts.append(f'<text x="{x(value)}" y="{bottom + 18}" text-anchor="middle">{value:g}</text>')
    parts.append(f'<text x="{left - 40}" y="{top - 12}">{escape(label)}</text>')
    parts.append(f'<text x="{right}" y="{bottom + 36}" text-anchor="end">evaluations</text>')
    return "\n".join(parts)


def _names(ends: Sequence[tuple[float, str]], right: float) -> list[str]:
    """The strategies' names beside the ends of their curves, moved apart."""
    parts, before = [], float("-inf")
    for height, strategy in sorted(ends):
        place = max(height, before + LINE)
        before = place
        parts.append(f'<text x="{right + 8}" y="{place + 4:g}" fill="{COLOURS[strategy]}">{strategy}</text>')
    return parts

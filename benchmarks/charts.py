"""What the charts of all benchmarks share: matplotlib's figures as small SVG files, the same on every machine."""

import io
import re
from collections.abc import Mapping
from xml.etree import ElementTree

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, GRID = "#566172", "#e3e7ed"
STYLE = {
    "svg.fonttype": "none",  # words stay words: small files, and a reader's search finds them
    "svg.hashsalt": "pocketcnn",  # otherwise every run writes other identifiers
    "font.family": "sans-serif",
    "font.size": 12,
    "text.color": INK,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
}
SVG = "http://www.w3.org/2000/svg"
COORDINATES = ("d", "x", "y", "width", "height", "transform")


def axes(width: float, height: float, frame: tuple[float, float, float, float]) -> Axes:
    """Axes on a white figure of `width` × `height` points, with a grid and no spines.

    Args:
        frame: left, top, right, bottom of the axes, in points from the upper left corner.
    """
    left, top, right, bottom = frame
    with rc_context(STYLE):
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        FigureCanvasSVG(figure)
        found = figure.add_axes(
            (left / width, 1 - bottom / height, (right - left) / width, (bottom - top) / height), axisbelow=True
        )
    found.grid(color=GRID)
    found.tick_params(length=0)
    found.spines[:].set_visible(False)
    found.xaxis.label.set_color(INK)
    return found


def as_svg(chart: Axes, summary: str, tooltips: Mapping[str, str] | None = None) -> str:
    """The figure of `chart` as the text of an SVG file.

    Args:
        summary: what the chart shows, for those who cannot see it.
        tooltips: identifier (`gid`) of an artist -> what is shown over it.
    """
    text = io.StringIO()
    with rc_context(STYLE):
        chart.figure.savefig(text, format="svg", metadata={"Title": summary, "Date": None, "Creator": None})
    for prefix, address in (("", SVG), ("xlink", "http://www.w3.org/1999/xlink")):
        ElementTree.register_namespace(prefix, address)
    root = ElementTree.fromstring(text.getvalue())
    root.set("role", "img")
    for metadata in root.findall(f"{{{SVG}}}metadata"):
        root.remove(metadata)
    for element in root.iter():
        for name in COORDINATES:
            if name in element.attrib:
                element.set(name, _rounded(element.attrib[name]))
        tooltip = (tooltips or {}).get(element.get("id", ""))
        if tooltip:
            title = ElementTree.Element(f"{{{SVG}}}title")
            title.text = tooltip
            element.insert(0, title)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _rounded(coordinates: str) -> str:
    """To a hundredth of a point: less than a processor's rounding can change, and half of the bytes."""
    short = re.sub(r"-?\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), coordinates)
    return re.sub(r"\s*\n\s*", " ", short).strip()

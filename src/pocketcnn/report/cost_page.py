"""The cost of a network as one offline HTML page: totals, charts over the layers, a drawing, and a sortable table."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from pocketcnn.cost import DEFINITIONS, Cost, LayerCost
from pocketcnn.files import write_text
from pocketcnn.report import numbers
from pocketcnn.report.bars import BarChart, bar_chart
from pocketcnn.report.html import environment

if TYPE_CHECKING:
    from pocketcnn.cost import PatchPlan
    from pocketcnn.graph import Graph, GraphNetwork

MOST_DRAWN = 400
"""Largest number of nodes for a drawing of all layers; larger networks are drawn block by block."""


@dataclass(frozen=True)
class Share:
    """A figure of a layer, and its share of the total from 0 to 1."""

    value: int
    text: str
    share: float


@dataclass(frozen=True)
class Row:
    """A row of the table of layers."""

    number: int
    layer: LayerCost
    shape: str
    madds: Share
    params: Share
    weights: Share
    access: Share
    live: Share


def write_cost_page(name: str, network: "GraphNetwork", cost: Cost, plans: "Sequence[PatchPlan]", path: Path) -> None:
    """Write the report on the network called `name` to `path`; `cost` and `plans` (of patches) are those of its graph.

    Raises:
        PocketcnnError: the file cannot be written.
    """
    write_text(path, render_cost_page(name, network, cost, plans))


def render_cost_page(name: str, network: "GraphNetwork", cost: Cost, plans: "Sequence[PatchPlan]") -> str:
    """The report as HTML text."""
    from pocketcnn.cost.patches import best_of, first_global

    graph = network.graph
    bits = {form.bits for form in network.numerics.weights.values()}
    script, digest = _script()
    return (
        environment()
        .get_template("cost.html")
        .render(
            name=name,
            input="×".join(map(str, graph.input_shape)),  # noqa: RUF001
            output="×".join(map(str, graph.output_shape)),  # noqa: RUF001
            numerics=f"int{max(bits)}" if bits else "float32",
            cost=cost,
            definitions=DEFINITIONS,
            charts=_charts(cost),
            rows=_rows(cost),
            best=best_of(plans),
            ends_before=first_global(graph),
            plans=plans,
            diagram=Markup(_diagram(name, graph)),  # its text is escaped by `draw`
            script=Markup(script),
            digest=digest,
        )
    )


def _diagram(name: str, graph: "Graph") -> str:
    from pocketcnn.report.diagram import draw

    return draw(graph, title=name, detail="layers" if len(graph.nodes) <= MOST_DRAWN else "blocks")


def _charts(cost: Cost) -> list[tuple[str, BarChart]]:
    """(heading, chart) of each figure over the layers, without views, which compute nothing."""
    layers = [layer for layer in cost.layers if layer.memory_access_bytes]
    working = [layer for layer in layers if layer.madds]
    charts = [
        ("Live memory", _chart("Bytes of activations in memory", layers, _live, numbers.size, cost)),
    ]
    if working:
        charts += [
            ("MAdds", _chart("Multiply-adds", working, _madds, numbers.amount, cost)),
            ("Arithmetic intensity", _chart("Multiply-adds for each byte", working, _intensity, _plain, cost)),
        ]
    return charts


def _live(layer: LayerCost) -> float:
    return layer.live_bytes


def _madds(layer: LayerCost) -> float:
    return layer.madds


def _intensity(layer: LayerCost) -> float:
    return layer.intensity


def _plain(value: float) -> str:
    return f"{value:.3g}"


def _chart(quantity: str, layers: Sequence[LayerCost], figure: Any, write: Any, cost: Cost) -> BarChart:
    kinds = ["peak" if layer.name == cost.peak_layer and figure is _live else layer.op for layer in layers]
    summary = f"{quantity}, layer by layer. The figures are in the table of layers."
    return bar_chart(summary, [figure(layer) for layer in layers], write, [layer.name for layer in layers], kinds)


def _rows(cost: Cost) -> list[Row]:
    return [
        Row(
            number,
            layer,
            "×".join(map(str, layer.shape)),  # noqa: RUF001
            _share(layer.madds, cost.madds, numbers.amount),
            _share(layer.params, cost.params, numbers.amount),
            _share(layer.weight_bytes, cost.weight_bytes, numbers.size),
            _share(layer.memory_access_bytes, cost.memory_access_bytes, numbers.size),
            _share(layer.live_bytes, cost.peak_activation_bytes, numbers.size),
        )
        for number, layer in enumerate(cost.layers, start=1)
    ]


def _share(value: int, whole: int, write: Any) -> Share:
    return Share(value, write(value), value / whole if whole else 0.0)


@cache
def _script() -> tuple[str, str]:
    """The script that sorts the table, and its digest for the content security policy, which allows no other script."""
    text = (resources.files("pocketcnn.report") / "templates" / "sort.js").read_text(encoding="utf-8")
    return text, base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")

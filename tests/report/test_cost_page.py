"""The page of what a network costs: true figures, all of it in one file, and hostile names as text."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

import pocketcnn as pc
from pocketcnn.cost import Cost, count, patch_plans
from pocketcnn.graph.network import GraphNetwork
from pocketcnn.report.bars import BOTTOM, LEFT, RIGHT, TOP, bar_chart
from pocketcnn.report.cost_page import render_cost_page


@pytest.fixture(scope="module")
def network() -> GraphNetwork:
    return GraphNetwork(pc.capture(pc.create("mobilenet_v2", width=0.35), (1, 3, 64, 64)))


@pytest.fixture(scope="module")
def page(network: GraphNetwork) -> str:
    return render_cost_page("small <b>", network, count(network), patch_plans(network.graph))


class Cells(HTMLParser):
    """The values by which the table of layers is sorted, row by row."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[float]] = []
        self.feed(text.partition('class="sortable"')[2])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        value = dict(attrs).get("data-value")
        if tag == "td" and value is not None:
            self.rows[-1].append(float(value))


def test_the_table_has_the_figures_of_each_layer(page: str, network: GraphNetwork) -> None:
    cost: Cost = count(network)
    expected = [
        [each.madds, each.params, each.weight_bytes, each.memory_access_bytes, each.intensity, each.live_bytes]
        for each in cost.layers
    ]
    assert Cells(page).rows[1:] == expected


def test_the_page_stands_alone(page: str) -> None:
    assert not re.search(r"(?:src|href)=\"(?!#)", page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert "<b>" not in page
    assert "small &lt;b&gt;" in page


def test_the_best_plan_is_marked(page: str) -> None:
    assert page.count('class="chosen"') == 1


def test_a_network_without_a_plan_says_so(network: GraphNetwork) -> None:
    assert "It does not lower the peak" in render_cost_page("x", network, count(network), [])


def test_a_network_without_work_has_a_page(network: GraphNetwork) -> None:
    cost = count(network)
    idle = replace(
        cost, madds=0, params=0, weight_bytes=0, layers=tuple(replace(each, madds=0) for each in cost.layers)
    )
    assert "Arithmetic intensity" not in render_cost_page("x", network, idle, [])


def test_bars_fill_the_chart() -> None:
    chart = bar_chart("s", [0.0, 5.0, 10.0], "{:g}".format, ["a", "b", "c"], ["x", "x", "x"])
    first, middle, last = chart.bars
    assert (first.height, middle.height) == (0, pytest.approx(last.height / 2, abs=0.1))
    assert LEFT <= first.x < middle.x < last.x <= RIGHT - last.width
    assert TOP <= last.y < last.y + last.height <= BOTTOM + 0.1
    assert [tick.text for tick in chart.ticks] == ["0", "2", "4", "6", "8", "10"]
    assert last.tooltip == "c: 10"

"""The pages of docs/networks say what the code counts, draws and measures now."""

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import networks
from benchmarks.network_pages import pages, plots, tables, timing
from benchmarks.network_pages.families import FAMILIES, family_of
from benchmarks.network_pages.nominal import nominal_rows, shape
from pocketcnn.errors import PocketcnnError
from pocketcnn.models import list_models
from pocketcnn.models.counting import Count
from pocketcnn.models.published import Checked, check, read_published
from pocketcnn.runtimes import StopRule

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "networks"


TIMINGS = json.loads((PAGES / "latency.json").read_text(encoding="utf-8"))
SVG = "{http://www.w3.org/2000/svg}"
QUICK = StopRule(warmup_seconds=0.01, min_seconds=0.01, max_seconds=0.02, min_repeats=3)


@pytest.fixture(scope="module")
def checked() -> list[Checked]:
    """Every row with its count; `tests/models/test_published.py` counts those that have a recount, and they are equal."""
    rows = read_published()
    counted = {id(each.row): each for each in check(row for row in rows if row.params is None)}
    known = {id(row): Checked(row, Count(row.params, row.madds), ()) for row in rows if row.params is not None}
    return [{**counted, **known}[id(row)] for row in rows]


@pytest.fixture(scope="module")
def sections(checked: list[Checked]) -> dict[str, dict[str, str]]:
    return pages.all_sections(checked, TIMINGS)


def marks(svg: ElementTree.Element) -> list[ElementTree.Element]:
    return [group for group in svg.iter(f"{SVG}g") if group.get("id", "").startswith("mark-")]


PAGE_NAMES = ["README.md", *(f"{family.page}.md" for family in FAMILIES)]


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_a_page_is_what_the_code_writes_now(name: str, sections: dict[str, dict[str, str]]) -> None:
    text = (PAGES / name).read_text(encoding="utf-8")
    assert pages.rendered(text, sections[name]) == text, "run: python -m benchmarks.networks --pages"


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_links_and_pictures_lead_somewhere(name: str) -> None:
    text = (PAGES / name).read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in target]
    assert [target for target in targets if not (PAGES / target).is_file()] == []
    if name != "README.md":
        family = next(family for family in FAMILIES if f"{family.page}.md" == name)
        assert {drawing.file for drawing in family.drawings} <= set(targets)
        headings = set(re.findall(r"^## (.+)$", text, flags=re.MULTILINE))
        assert {"The problem", "What it costs", "What it takes here", "When to choose it"} <= headings


def test_every_network_has_a_page_and_a_measured_latency() -> None:
    described = [name for family in FAMILIES for name in family.networks]
    assert sorted(described) == list_models() == sorted(TIMINGS["networks"])
    assert {path.name for path in PAGES.glob("*.md")} == set(PAGE_NAMES)
    for record in TIMINGS["networks"].values():
        for form in ("float32", "int8"):
            assert 0 < record[form]["p10"] <= record[form]["median"] <= record[form]["p90"]
        assert record["bytes"]["int8"] < record["bytes"]["float32"]


def test_every_picture_is_used_and_every_plot_is_what_the_code_draws_now() -> None:
    expected = pages.plot_files(TIMINGS)
    drawn = {drawing.file for family in FAMILIES for drawing in family.drawings}
    assert {path.name for path in PAGES.glob("*.svg")} == drawn | set(expected)
    for name, text in expected.items():
        assert (PAGES / name).read_text(encoding="utf-8") == text, "run: python -m benchmarks.networks --pages"


@pytest.mark.parametrize("page", ["mobilenet_v1", "squeezenet"])
def test_a_drawing_is_what_the_graph_gives_now(page: str) -> None:
    _drawings_are_up_to_date(page)


@pytest.mark.slow
@pytest.mark.parametrize("page", [family.page for family in FAMILIES])
def test_every_drawing_is_what_the_graph_gives_now(page: str) -> None:
    _drawings_are_up_to_date(page)


def _drawings_are_up_to_date(page: str) -> None:
    (family,) = [family for family in FAMILIES if family.page == page]
    for drawing in family.drawings:
        expected = pages.picture(drawing, pages.graph_of(drawing.network))
        assert (PAGES / drawing.file).read_text(encoding="utf-8") == expected


def test_the_plots_show_the_published_accuracies() -> None:
    published = {(row.paper, row.variant, row.input): row for row in read_published()}
    points = plots.published_points(lambda row: row.madds)
    assert len(points) > 80
    assert {point.family.page for point in points} == {family.page for family in FAMILIES}
    for point in points:
        row = published[point.row.paper, point.row.variant, point.row.input]
        assert (point.cost, point.top1) == (row.madds, row.top1)
    svg = ElementTree.fromstring(pages.plot_files(TIMINGS)["accuracy-by-madds.svg"])
    tips = [title.text for mark in marks(svg) for title in mark.iter(f"{SVG}title")]
    assert len(tips) == len(points)
    assert "mobilenet_v2: MobileNetV2 alpha=1.0 (paper), 224: 72 %, 301 M" in tips


def test_the_plot_of_latency_has_both_forms_of_every_network_for_imagenet() -> None:
    svg = ElementTree.fromstring(pages.plot_files(TIMINGS)["accuracy-by-latency.svg"])
    rows = [row for row in nominal_rows().values() if row.dataset == "ImageNet"]
    assert len(marks(svg)) == 2 * len(rows)
    labels = {text.text for text in svg.iter(f"{SVG}text")}
    assert labels >= {row.network for row in rows}


def test_labels_of_the_plots_do_not_cover_each_other() -> None:
    for chart in (
        plots.by_published_cost("MAdds", lambda row: row.madds, str),
        plots.by_published_cost("parameters", lambda row: row.params, str),
    ):
        labels = [mark.label for mark in plots.labelled(chart) if mark.label]
        assert len(labels) == len(FAMILIES)
        for index, one in enumerate(labels):
            for other in labels[:index]:
                assert abs(one.y - other.y) > 8 or abs(one.x - other.x) > 30, f"{one.text} on {other.text}"


def test_a_changed_figure_makes_a_page_stale(checked: list[Checked]) -> None:
    family = family_of("mobilenet_v1")
    text = tables.counted(family, checked)
    assert "| 4,231,976 | 4.24 M (-0.2 %) | 568,740,352 | 569 M (-0.0 %) | 70.9 % |" in text
    first = next(each for each in checked if each.row.network == "mobilenet_v1")
    more = replace(first, count=first.count._replace(madds=first.count.madds + 1))
    assert tables.counted(family, [more if each is first else each for each in checked]) != text


def test_a_page_without_its_markers_is_refused() -> None:
    page = "<!-- generated: counted -->\nold\n<!-- end of generated -->\n"
    assert pages.rendered(page, {"counted": "new"}) == page.replace("old", "\nnew\n")
    assert pages.rendered(pages.rendered(page, {"counted": "new"}), {"counted": "new"}).count("new") == 1
    with pytest.raises(PocketcnnError, match="should have"):
        pages.rendered(page, {"latency": ""})


def test_the_front_leaves_out_what_costs_more_for_less() -> None:
    row = nominal_rows()["mobilenet_v2"]
    points = [plots.Point(cost, top1, row) for cost, top1 in ((3, 70), (1, 60), (2, 59), (2, 65), (4, 70))]
    assert [(point.cost, point.top1) for point in plots.front(points)] == [(1, 60), (2, 65), (3, 70)]


def test_the_nominal_form_is_the_default_one() -> None:
    assert nominal_rows()["resnet50"].madds == 4_089_184_256  # v1.5, and not the paper's
    assert shape(nominal_rows()["nasnet_large"]) == (3, 331, 331)
    assert nominal_rows()["shufflenet_v1"].options == {"groups": 3}


def test_measuring_gives_what_the_tables_read() -> None:
    said: list[str] = []
    rows = [nominal_rows()["shiftresnet"]]
    found = json.loads(json.dumps(timing.measured(rows, QUICK, said.append)))
    assert len(said) == 1
    record = found["networks"]["shiftresnet"]
    assert record["input"] == [3, 32, 32]
    assert record["float32"]["median"] > 0
    low, high = record["ratio_interval"]
    assert low <= record["ratio"] <= high
    family = family_of("shiftresnet")
    text = tables.latency(family, found)
    assert "`shiftresnet`" in text
    assert found["machine"]["cpu"] in text


def test_figures_of_two_machines_do_not_stand_in_one_table() -> None:
    other = {**TIMINGS, "machine": {**TIMINGS["machine"], "cpu": "another"}, "rule": {}}
    assert networks.differing(TIMINGS, {**TIMINGS, "rule": {}}) == []
    assert networks.differing(TIMINGS, other) == ["cpu"]


@pytest.mark.parametrize(("seconds", "text"), [(0.12345, "123 ms"), (0.012345, "12.3 ms"), (0.0012345, "1.23 ms")])
def test_milliseconds_have_three_digits(seconds: float, text: str) -> None:
    assert tables.milliseconds(seconds) == text

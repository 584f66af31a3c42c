"""The pages of `docs/networks/`: prose by people, tables and pictures by this code between markers."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.network_pages import plots, tables
from benchmarks.network_pages.families import FAMILIES, Drawing
from benchmarks.network_pages.nominal import build, nominal_rows, shape
from benchmarks.network_pages.tables import Timings
from pocketcnn.errors import PocketcnnError
from pocketcnn.files import write_text
from pocketcnn.graph import Graph, capture
from pocketcnn.models.published import Checked, check, read_published
from pocketcnn.report.diagram import draw

SECTION = re.compile(r"(<!-- generated: (?P<name>[a-z]+) -->\n).*?(<!-- end of generated -->)", flags=re.DOTALL)


def write_pages(folder: Path, timings: Timings) -> Iterator[Path]:
    """Write every generated part anew; yields the files written.

    Raises:
        PocketcnnError: a page asks for a part that is not known, or does not ask for one that it should have.
    """
    for name, text in {**pictures(), **plot_files(timings)}.items():
        write_text(folder / name, text)
        yield folder / name
    checked = list(check(read_published()))
    for name, sections in all_sections(checked, timings).items():
        page = folder / name
        write_text(page, rendered(page.read_text(encoding="utf-8"), sections))
        yield page


def all_sections(checked: Sequence[Checked], timings: Timings) -> dict[str, dict[str, str]]:
    """File of each page -> name of each generated section -> its text."""
    pages = {
        f"{family.page}.md": {"counted": tables.counted(family, checked), "latency": tables.latency(family, timings)}
        for family in FAMILIES
    }
    overview = {
        "contents": tables.contents(),
        "comparison": tables.comparison(checked, timings),
        "circumstances": tables.circumstances(timings),
    }
    return {"README.md": overview, **pages}


def rendered(page: str, sections: Mapping[str, str]) -> str:
    """The page with every section between its markers replaced.

    Raises:
        PocketcnnError: the page's markers are not those of `sections`.
    """
    found = [match["name"] for match in SECTION.finditer(page)]
    if sorted(found) != sorted(sections):
        raise PocketcnnError(f"The page has the generated parts {found}; it should have {sorted(sections)}, each once.")
    return SECTION.sub(lambda match: f"{match[1]}\n{sections[match['name']]}\n\n{match[3]}", page)


def plot_files(timings: Timings) -> dict[str, str]:
    """File -> SVG of the three plots that compare all networks."""
    return {
        "accuracy-by-madds.svg": plots.svg(
            plots.by_published_cost("multiply-adds for one image", lambda row: row.madds, _amount)
        ),
        "accuracy-by-parameters.svg": plots.svg(plots.by_published_cost("parameters", lambda row: row.params, _amount)),
        "accuracy-by-latency.svg": plots.svg(plots.by_latency(timings, lambda value: f"{value:g} ms")),
    }


def pictures() -> dict[str, str]:
    """File -> SVG of every drawing, from the graphs of the networks; each network is captured once."""
    drawings = [drawing for family in FAMILIES for drawing in family.drawings]
    graphs = {network: graph_of(network) for network in dict.fromkeys(drawing.network for drawing in drawings)}
    return {drawing.file: picture(drawing, graphs[drawing.network]) for drawing in drawings}


def graph_of(network: str) -> Graph:
    """The graph of a network in the form in which it was published."""
    row = nominal_rows()[network]
    return capture(build(row), (1, *shape(row)))


def picture(drawing: Drawing, graph: Graph) -> str:
    return draw(graph, title=drawing.title, block=drawing.block, detail=drawing.detail)


def _amount(number: float) -> str:
    """``5.4 M``: three digits at most."""
    for factor, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if number >= factor:
            return f"{number / factor:.3g}{unit}"
    return f"{number:.3g}"

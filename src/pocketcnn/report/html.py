"""The report of a result: one offline HTML file, for light and dark mode, small screens and print.

Charts are inline SVG, coloured by the style sheet of the page. The page has no script and loads nothing.
"""

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pocketcnn.files import write_text
from pocketcnn.records.result import DEPLOYED, FitResult
from pocketcnn.report import charts, confusion, contract, findings, numbers, successive_halving
from pocketcnn.report.examples import Example

HEAT_MAP_CLASSES = 20  # with more classes the matrix is unreadable; the most confused pairs are shown instead
PAIRS_SHOWN = 12
CLASSES_SHOWN = 10
CANDIDATES_SHOWN = 12  # the others are in a collapsed table


def write_report(result: FitResult, path: Path, *, images: Sequence[Example] | None = None) -> None:
    """Write the report of `result` to `path`, with `images` as examples of correct and wrong predictions.

    Raises:
        PocketcnnError: the file cannot be written.
    """
    write_text(path, render_report(result, images=images))


def render_report(result: FitResult, *, images: Sequence[Example] | None = None) -> str:
    """The report as HTML text."""
    sidecar = Path(result.artefact.file).with_suffix(".json").name
    return (
        environment()
        .get_template("report.html")
        .render(
            result=result,
            deployed=DEPLOYED,
            solid=confusion.SOLID_FROM,
            verdict=findings.verdict(result),
            examples=images or (),
            **_limits(result),
            **_search(result),
            **_errors(result),
            changed=findings.what_changed(result.stages),
            size_chart=charts.accuracy_by_size(result.stages),
            speeds=findings.speed(result.latencies, result.artefact.numerics),
            slowest=max((latency.p90 for latency in result.latencies), default=0.0),
            input_steps=contract.steps(result.input),
            snippet=contract.snippet(result.input, result.data.classes, result.artefact.file, sidecar),
        )
    )


def _limits(result: FitResult) -> dict[str, Any]:
    return {"limits": [(limit, findings.margin_bar(limit)) for limit in result.limits]}


def _search(result: FitResult) -> dict[str, Any]:
    candidates = result.candidates
    return {
        "ranked": [
            (
                candidate,
                successive_halving.outcome_of(candidate, candidates).value,
                successive_halving.outcome_text(candidate, candidates),
            )
            for candidate in successive_halving.ranked(candidates)
        ],
        "rounds": successive_halving.last_round(candidates),
        "shown": CANDIDATES_SHOWN,
        "learning_chart": charts.learning_by_round(candidates),
        "cost_chart": charts.accuracy_by_madds(candidates),
    }


def _errors(result: FitResult) -> dict[str, Any]:
    matrix, classes = result.artefact.confusion, result.data.classes
    return {
        "heat_map": confusion.heat_map(matrix, classes) if len(matrix) <= HEAT_MAP_CLASSES else [],
        "pairs": confusion.confused_pairs(matrix, classes, PAIRS_SHOWN),
        "hardest": confusion.hardest_classes(matrix, classes, CLASSES_SHOWN),
    }


@cache
def environment() -> Environment:
    """The Jinja environment of all pages: templates and number formats."""
    found = Environment(
        loader=PackageLoader("pocketcnn.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    writers = (numbers.size, numbers.time, numbers.amount, numbers.grouped, numbers.percent, numbers.accuracy)
    words = (numbers.duration, numbers.plain, findings.margin, findings.spread_warning)
    found.filters |= {function.__name__: function for function in (*writers, *words)}
    found.globals |= {
        "figure": numbers.figure,
        "exact": numbers.exact,
        "interval": numbers.interval,
        "time_span": partial(numbers.span, write=numbers.time),
        "spread": lambda limit: numbers.span(limit.low, limit.high, partial(numbers.figure, limit.quantity)),
    }
    return found

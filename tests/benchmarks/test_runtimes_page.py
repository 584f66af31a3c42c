"""The table of the runtimes' page is that of the checked-in figures."""

import json
from pathlib import Path

from benchmarks import runtimes

DOCS = Path(__file__).parents[2] / "docs" / "benchmarks"


def test_the_table_is_that_of_the_figures_that_are_checked_in() -> None:
    page = (DOCS / "runtimes.md").read_text(encoding="utf-8")
    table = runtimes.table(json.loads((DOCS / "runtimes.json").read_text(encoding="utf-8")))
    assert table in page
    assert runtimes.with_table(page, table) == page
    assert len(table.splitlines()) == 2 + len(runtimes.NETWORKS) + 1
    assert runtimes.with_table("a\n| network | x |\n| --- |\n| b | 1 |\n\nc", "T") == "a\nT\n\nc"


def test_what_was_not_measured_is_a_dash() -> None:
    entry = {"file": "a", "runtime": "ncnn", "numerics": "float32", "threads": 1, "latency": {"median": 0.002}}
    lost = {**entry, "numerics": "int8", "latency": None}
    last = runtimes.table({"entries": [entry, lost]}).splitlines()[-1]
    assert last == "| a | -, int8 - | -, int8 - | -, int8 - | 2.0, int8 - | -, int8 - |"

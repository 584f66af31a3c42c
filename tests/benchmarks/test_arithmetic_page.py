"""The page of the integer arithmetic is made of its JSON alone; its operations can be compared anywhere."""

import json
from pathlib import Path

import pytest

from benchmarks.compression.arithmetic_table import operators
from benchmarks.compression.arithmetic_table.page import page

CHECKED_IN = Path(__file__).parents[2] / "docs" / "benchmarks" / "compression"


def test_the_page_that_is_checked_in_is_that_of_its_figures() -> None:
    document = json.loads((CHECKED_IN / "arithmetic.json").read_text())
    assert page(document) == (CHECKED_IN / "arithmetic.md").read_text()


@pytest.mark.parametrize("title", ["multiply", "concat", "global average pool"])
def test_an_operation_is_compared_at_all_integers(title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "TRIALS", 3)
    found = operators.measured(title)
    assert found.integers >= 3 * 128
    assert found.largest_step <= 1
    assert found.equal > 0.999

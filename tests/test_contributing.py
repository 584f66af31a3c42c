"""The recipes of CONTRIBUTING.md are true of the code: their files exist, and their tables have the fields that are named."""

import importlib
import re
from dataclasses import fields
from pathlib import Path

import pytest

from pocketcnn.nas.objective import OBJECTIVES
from pocketcnn.nas.strategies import OPTIONS_READ
from pocketcnn.targets import Quantity

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPES = {
    part.partition("\n")[0]: part
    for part in re.split(r"^### ", PAGE.partition("## Recipes")[2].partition("## Release")[0], flags=re.MULTILINE)[1:]
}
PATH = re.compile(r"`((?:src|tests|docs|benchmarks|\.github)(?:/[\w./-]*)?|[\w.-]+\.(?:md|toml|yml|yaml))`")
FIELDS = re.compile(r"`([\w.]+):(\w+)\(([\w, ]+)\)`")


def exists(path: str) -> bool:
    """Whether there is such a file; one with NAME is there if any other name is."""
    return any(ROOT.glob(path.replace("NAME", "*"))) if "NAME" in path else (ROOT / path).exists()


def test_every_path_exists() -> None:
    named = PATH.findall(PAGE)
    assert len(named) > 25
    assert [path for path in named if not exists(path)] == []


def test_links_lead_somewhere() -> None:
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", PAGE) if "://" not in target]
    assert [target for target in targets if not (ROOT / target).is_file()] == []


def test_there_is_a_recipe_of_each_kind_of_change() -> None:
    wanted = (
        "operation",
        "network",
        "quantity",
        "option",
        "runtime",
        "search strategy",
        "pruning criterion",
        "target device",
    )
    assert len(RECIPES) == len(wanted)
    assert all(any(words in title for title in RECIPES) for words in wanted)


@pytest.mark.parametrize(("module", "name", "named"), FIELDS.findall(PAGE))
def test_a_table_has_exactly_the_fields_that_are_named(module: str, name: str, named: str) -> None:
    found = getattr(importlib.import_module(module), name)
    assert [field.name for field in fields(found)] == named.split(", ")


TABLES = {  # a table of a page -> the entries that it must have, each once
    ("docs/commands.md", "Budgets"): [quantity.value for quantity in Quantity],
    ("docs/search.md", "Strategies"): [*OPTIONS_READ, *OBJECTIVES],
}


@pytest.mark.parametrize(("page", "section"), TABLES)
def test_a_table_that_a_recipe_asks_for_has_a_row_for_each_entry(page: str, section: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    told = [
        name
        for cell in re.findall(r"^\| (`[^-].*?`) \|", text, re.MULTILINE)
        for name in re.findall(r"`([^`]+)`", cell)
    ]
    assert sorted(told) == sorted(TABLES[page, section])


def test_make_targets_and_markers_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", PAGE, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    areas = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()} | {"slow", "or", "and"}
    for expression in re.findall(r"pytest -m (\"[^\"]+\"|\w+)", PAGE):
        assert set(re.findall(r"\w+", expression)) <= areas

"""The command line parses and prints: nothing is built on it, it computes nothing, and its help follows the registries."""

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

import pocketcnn
from pocketcnn.pipeline import choices
from tests.support.cli import succeed

ROOT = Path(pocketcnn.__file__).parent
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
CLI = sorted((ROOT / "cli").glob("*.py"))

ANY_NAME = {"callbacks", "errors", "files", "pipeline", "records", "report"}
"""Packages of which a verb may use what it likes: the routes, the records that they give, messages and files."""

NAMES = {
    "pocketcnn.data": {"DataFolder", "contract_notes", "infer_contract", "scan", "write_digits"},
    "pocketcnn.data.folder": {"check_seed"},
    "pocketcnn.models": {"list_models", "network_options"},
    "pocketcnn.models.description": {"describe_model", "has_width"},
    "pocketcnn.models.libraries": {"is_library_name"},
    "pocketcnn.models.pretrained.source": {"demands_weights", "has_weights"},
    "pocketcnn.models.published": {"Checked", "Verdict", "check", "difference", "read_published"},
    "pocketcnn.runtimes": {"StopRule"},
    "pocketcnn.runtimes.base": {"artefact_files"},
    "pocketcnn.runtimes.side_by_side": {"BenchmarkPlan"},
    "pocketcnn.nas.strategies": {"ONCE_FOR_ALL", "OPTIONS_READ"},
    "pocketcnn.targets": {"Budget", "Quantity", "format_quantity", "list_targets", "load_target", "predict_latency"},
    "pocketcnn.targets.bottlenecks": {"bottlenecks"},
    "pocketcnn.targets.latency": {"default_path"},
    "pocketcnn.targets.quantities": {"Quantity"},
    "pocketcnn.targets.target": {"target_toml"},
    "pocketcnn.targets.units": {"format_bytes", "format_count", "format_percent", "format_seconds"},
    "pocketcnn.training": {"ConsoleProgress", "EpochRecord", "Progress", "QuietProgress", "Recipe"},
}
"""What a verb may use of the others: what a Python user calls too, settings, registries, and how figures are written."""

LIBRARIES = {"typer", "rich"}
"""No torch and no numpy, at the top or inside a function: a verb has nothing to compute."""


def imports(file: Path) -> Iterator[tuple[str, str]]:
    """(module, name) of every import that is carried out, wherever it stands; name is empty for whole modules."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for_checkers = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in for_checkers:
            continue
        if isinstance(node, ast.ImportFrom):
            yield from ((_module(node, file), alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield ast.unparse(node.args[0]).strip("'\""), ""


def _module(node: ast.ImportFrom, file: Path) -> str:
    """The module in full, if the import is relative."""
    if not node.level or ROOT not in file.parents:
        return node.module or ""
    package = ("pocketcnn", *file.relative_to(ROOT).parts[:-1])
    return ".".join((*package[: len(package) - node.level + 1], *([node.module] if node.module else [])))


def test_nothing_is_built_on_the_command_line() -> None:
    files = [file for file in ROOT.rglob("*.py") if "cli" not in file.relative_to(ROOT).parts]
    users = {
        file.name
        for file in (*files, *BENCHMARKS.rglob("*.py"))
        for module, name in imports(file)
        if f"{module}.{name}".startswith("pocketcnn.cli.") or (module, name) == ("pocketcnn", "cli")
    }
    assert users == {"__main__.py"}


@pytest.mark.parametrize("file", CLI, ids=lambda file: file.stem)
def test_a_verb_imports_routes_registries_and_words(file: Path) -> None:
    for module, name in imports(file):
        top, _, rest = module.partition(".")
        if top != "pocketcnn":
            assert top in LIBRARIES | sys.stdlib_module_names, f"{module} is nothing that a verb needs"
            assert top not in {"math", "statistics"}, "figures are computed where Python users get them too"
        elif rest and rest.split(".")[0] not in {*ANY_NAME, "cli"}:
            assert name in NAMES.get(module, set()), f"from {module} import {name}: a verb should not need it"


def test_the_list_of_what_verbs_use_is_no_longer_than_it_must_be() -> None:
    used = {pair for file in CLI for pair in imports(file)}
    assert {(module, name) for module, names in NAMES.items() for name in names} - used == set()


def registered(place: str) -> set[str]:
    """The names in the registry at ``module:name``."""
    module, _, name = place.partition(":")
    found: Any = getattr(importlib.import_module(module), name)
    if get_args(found):  # of a `Literal`
        return set(get_args(found))
    return set(found() if callable(found) else found)


@pytest.mark.parametrize("name", choices.REGISTRIES)
def test_every_list_of_choices_is_that_of_its_registry(name: str) -> None:
    assert set(getattr(choices, name)) == registered(choices.REGISTRIES[name])


def test_every_list_of_choices_has_its_registry() -> None:
    lists = {name for name in vars(choices) if name.isupper() and name not in ("REGISTRIES", "ALL_SPLITS")}
    assert lists - choices.REGISTRIES.keys() == {"SPLITS"}  # which is the registry


@pytest.mark.parametrize(
    ("verb", "lists"),
    [
        ("fit", ("EFFORTS",)),
        ("search", ("EFFORTS", "SEARCH_STRATEGIES", "SEARCH_SPACES", "REWARDS", "ZERO_COST_PROXIES")),
        ("compress", ("EFFORTS", "COMPRESS_STRATEGIES", "CRITERIA", "ALLOCATIONS")),
        ("export", ("EXPORT_FORMATS",)),
        ("bench", ("RUNTIMES", "NUMERICS")),
        ("eval", ("SPLITS",)),
        ("target check", ("KERNELS",)),
        ("target profile", ("NUMERICS",)),
        ("target predict", ("NUMERICS",)),
    ],
)
def test_help_names_every_choice(verb: str, lists: tuple[str, ...]) -> None:
    words = set(re.findall(r"[\w-]+", succeed(*verb.split(), "--help").stdout))
    for name in lists:
        assert set(getattr(choices, name)) <= words

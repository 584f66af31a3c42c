"""Imports flow down: a package uses only those above it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pocketcnn

ROOT = Path(pocketcnn.__file__).parent
ORDER = (
    "layers",
    "models",
    "graph",
    "cost",
    "formats",
    "runtimes",
    "targets",
    "data",
    "training",
    "compression",
    "search",
    "report",
    "pipeline",
    "cli",
)
FOUNDATIONS = {"errors", "files", "vision"}
ENTRY_POINTS = {"__init__", "__main__"}


def imported(file: Path) -> set[str]:
    """First parts, below pocketcnn, of everything that `file` imports."""
    package = ("pocketcnn", *file.relative_to(ROOT).with_suffix("").parts[:-1])
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *([node.module] if node.module else [])))
            names |= {f"{module}.{alias.name}" for alias in node.names} if module == "pocketcnn" else {module}
    return {name.split(".")[1] for name in names if name.startswith("pocketcnn.")}


def files() -> list[Path]:
    return [file for file in sorted(ROOT.rglob("*.py")) if file.relative_to(ROOT).parts[0] != "__pycache__"]


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_a_module_imports_only_from_packages_above_it(file: Path) -> None:
    place = file.relative_to(ROOT).parts[0].removesuffix(".py")
    if place in ENTRY_POINTS:
        return
    allowed = FOUNDATIONS if place in FOUNDATIONS else {*FOUNDATIONS, *ORDER[: ORDER.index(place) + 1]}
    assert imported(file) <= allowed, f"{place} may import {sorted(allowed)}"


def test_every_package_has_its_place_in_the_order() -> None:
    packages = {folder.name for folder in ROOT.iterdir() if (folder / "__init__.py").is_file()}
    assert packages == set(ORDER)


def test_only_one_module_imports_torchvision() -> None:
    users = [
        file.relative_to(ROOT).as_posix()
        for file in files()
        if any(
            isinstance(node, ast.Import | ast.ImportFrom)
            and any(
                name.split(".")[0] == "torchvision"
                for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
            )
            for node in ast.walk(ast.parse(file.read_text()))
        )
    ]
    assert users == []  # vision.py imports it by name, when it is asked to


def test_importing_the_library_does_not_import_torch() -> None:
    code = "import sys, pocketcnn; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_architecture_page_lists_the_packages_in_order() -> None:
    page = Path(__file__).parents[1] / "docs" / "architecture.md"
    rows = [line.split("|")[1].strip(" `") for line in page.read_text().splitlines() if line.startswith("| `")]
    assert tuple(rows) == ORDER

"""Imports flow down: a package uses only those above it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.import_graph import (
    ROOT,
    arrows_up,
    circles,
    files,
    import_graph,
    imported_names,
    packages,
    parts,
)

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
    "nas",
    "records",
    "report",
    "pipeline",
    "cli",
)
ROOMS = ("train", "latency", "deploy", "compress", "search", "fit")
"""The rooms of `pipeline`. What lies beside them is shared, and comes before all of them."""

PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"
FOUNDATIONS = {"callbacks", "documents", "errors", "files", "vision"}
ENTRY_POINTS = {"__init__", "__main__"}


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_a_module_imports_only_from_packages_above_it(file: Path) -> None:
    place = file.relative_to(ROOT).parts[0].removesuffix(".py")
    if place in ENTRY_POINTS:
        return
    allowed = FOUNDATIONS if place in FOUNDATIONS else {*FOUNDATIONS, *ORDER[: ORDER.index(place) + 1]}
    imported = {name.split(".")[1] for name in imported_names(file) if "." in name}
    assert imported <= allowed, f"{place} may import {sorted(allowed)}"


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    return import_graph()


def test_no_modules_import_each_other(graph: dict[str, set[str]]) -> None:
    """Not inside a package either, nor in functions, for types alone, or by name."""
    found = circles(graph)
    assert not found, "\n".join(" <-> ".join(members) for members in found)


def test_circles_are_found_wherever_the_import_stands(tmp_path: Path) -> None:
    """An import at the top, in a function, for types, by name, and of a package whose file imports back."""
    sources = {
        "a.py": "from demo import b",
        "b.py": "def f():\n    from demo.c import x",
        "c.py": "import typing\nif typing.TYPE_CHECKING:\n    from .d import x",
        "d.py": "from importlib import import_module\nimport_module('demo.a')",
        "alone.py": "TEXT = 'demo.alone'\nfrom demo import a",
        "pack/__init__.py": "import importlib\nNAMES = {'x': 'demo.user:make'}\nimportlib.import_module",
        "pack/part.py": "",
        "user.py": "from demo.pack.part import x",
    }
    (tmp_path / "demo" / "pack").mkdir(parents=True)
    for name, source in {"__init__.py": "", **sources}.items():
        (tmp_path / "demo" / name).write_text(source)
    expected = [("demo.a", "demo.b", "demo.c", "demo.d"), ("demo.pack", "demo.user")]
    assert sorted(circles(import_graph(tmp_path / "demo"))) == expected


def test_the_parts_of_a_package_do_not_import_each_other(graph: dict[str, set[str]]) -> None:
    """Sub-packages neither, though no module of theirs may be in a circle."""
    found = [(package, members) for package in packages(graph) for members in circles(parts(graph, package))]
    assert not found, "\n".join(f"in {package}: {' <-> '.join(members)}" for package, members in found)


def test_a_room_of_the_pipeline_imports_only_from_those_before_it(graph: dict[str, set[str]]) -> None:
    found = arrows_up(graph, "pocketcnn.pipeline", ROOMS)
    assert not found, "\n".join(found)


def test_every_room_of_the_pipeline_has_its_place_in_the_order() -> None:
    assert {file.parent.name for file in ROOT.glob("pipeline/*/*.py")} == set(ROOMS)


def test_arrows_up_and_circles_of_parts_are_found(tmp_path: Path) -> None:
    """A room that imports a later one; a shared file that imports a room; rooms in a circle whose files are in none."""
    sources = {
        "shared.py": "from demo.first.a import x",
        "first/a.py": "def f():\n    from demo.second import late",
        "first/b.py": "",
        "second/late.py": "from demo.first.b import x\nfrom demo import free",
        "free.py": "",
    }
    for name, source in {"__init__.py": "", "first/__init__.py": "", "second/__init__.py": "", **sources}.items():
        (tmp_path / "demo" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "demo" / name).write_text(source)
    graph = import_graph(tmp_path / "demo")
    up = {f"demo.{arrow}" for arrow in ("first.a -> demo.second.late", "first.a -> demo.second")}
    up |= {f"demo.shared -> demo.{target}" for target in ("first", "first.a")}
    assert set(arrows_up(graph, "demo", ("first", "second"))) == up
    assert circles(graph) == []
    assert circles(parts(graph, "demo")) == [("first", "second")]


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


@pytest.mark.parametrize(("heading", "order"), [("## Packages", ORDER), ("### Rooms of the pipeline", ROOMS)])
def test_the_architecture_page_lists_them_in_order(heading: str, order: tuple[str, ...]) -> None:
    _, _, rest = PAGE.read_text().partition(f"\n{heading}\n")
    section = rest.partition("\n#")[0]
    assert tuple(line.split("|")[1].strip(" `") for line in section.splitlines() if line.startswith("| `")) == order

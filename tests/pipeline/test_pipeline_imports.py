"""No module of the pipeline needs another one that needs it: not at the top of a file, in a function, or for types alone."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import pocketcnn.pipeline

FOLDER = Path(pocketcnn.pipeline.__file__).parent
PACKAGE = "pocketcnn.pipeline"


def modules_named(code: str) -> set[str]:
    """Every module of the pipeline that `code` imports, wherever it does; names in strings, as of `import_module`, count too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            names |= {f"{PACKAGE}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value.strip())
    return {name.removeprefix(f"{PACKAGE}.") for name in names if name.startswith(f"{PACKAGE}.") and " " not in name}


def order_of(imports: dict[str, set[str]]) -> list[str]:
    """The modules, each after what it imports."""
    return list(TopologicalSorter(imports).static_order())


def test_imports_within_the_pipeline_have_no_circle() -> None:
    files = sorted(FOLDER.rglob("*.py"))
    imports = {
        ".".join(file.relative_to(FOLDER).with_suffix("").parts): modules_named(file.read_text()) for file in files
    }
    assert sum(map(len, imports.values())) > 50  # they are found at all
    assert len(order_of(imports)) >= len(files)


@pytest.mark.parametrize(
    "back",
    [
        "from pocketcnn.pipeline.a import x",
        "def f():\n    from pocketcnn.pipeline import a",
        "if TYPE_CHECKING:\n    import pocketcnn.pipeline.a",
        "import_module('pocketcnn.pipeline.a')",
    ],
)
def test_a_circle_is_found_wherever_the_import_stands(back: str) -> None:
    with pytest.raises(CycleError):
        order_of({"a": modules_named("from pocketcnn.pipeline.b import y"), "b": modules_named(back)})

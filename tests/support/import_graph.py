"""Which module of the library imports which, read from the sources: at the top, in functions, and by name."""

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pocketcnn

ROOT = Path(pocketcnn.__file__).parent


def files() -> list[Path]:
    return [file for file in sorted(ROOT.rglob("*.py")) if "__pycache__" not in file.parts]


def module_name(file: Path, root: Path = ROOT) -> str:
    parts = (root.name, *file.relative_to(root).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(file: Path, root: Path = ROOT) -> set[str]:
    """Everything of the library that `file` imports: modules, and names in them.

    A file that uses `import_module` also imports every module that one of its strings names.
    """
    package = module_name(file, root) if file.name == "__init__.py" else module_name(file, root).rpartition(".")[0]
    tree = ast.parse(file.read_text())
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join((*base, *([node.module] if node.module else [])))
            names |= {f"{module}.{alias.name}" for alias in node.names}
    names |= set(_named(tree, package))
    return {name for name in names if name == root.name or name.startswith(f"{root.name}.")}


def _named(tree: ast.AST, package: str) -> Iterator[str]:
    """What `import_module` may be given: strings that name a module, and f-strings that begin with the own package."""
    uses = any(
        (isinstance(node, ast.Attribute) and node.attr == "import_module")
        or (isinstance(node, ast.alias) and node.name == "import_module")
        for node in ast.walk(tree)
    )
    for node in ast.walk(tree) if uses else ():
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value.partition(":")[0]
        elif isinstance(node, ast.JoinedStr) and len(node.values) == 2:
            own, rest = node.values
            if isinstance(own, ast.FormattedValue) and isinstance(rest, ast.Constant):
                yield f"{package}{rest.value}" if ast.unparse(own.value) in ("__name__", "__package__") else ""


def import_graph(root: Path = ROOT) -> dict[str, set[str]]:
    """Module -> the modules that it imports, wherever in its file.

    Whoever imports a module of another package runs that package's file too.
    """
    modules = {module_name(file, root): file for file in sorted(root.rglob("*.py")) if "__pycache__" not in file.parts}
    return {name: set(_targets(name, imported_names(file, root), modules)) for name, file in modules.items()}


def _targets(name: str, imported: Iterable[str], modules: Mapping[str, Path]) -> Iterator[str]:
    for full in imported:
        target = full if full in modules else full.rpartition(".")[0]
        if target not in modules or target == name:
            continue
        yield target
        while package := target.rpartition(".")[0]:
            target = package
            if not name.startswith(f"{package}."):
                yield package


def circles(graph: Mapping[str, set[str]]) -> list[tuple[str, ...]]:
    """The sets of modules that import each other, directly or not (Tarjan, 1972)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[tuple[str, ...]] = []

    def visit(name: str) -> None:
        number[name] = lowest[name] = len(number)
        stack.append(name)
        for target in sorted(graph[name]):
            if target not in number:
                visit(target)
            if target in stack:
                lowest[name] = min(lowest[name], lowest[target])
        if lowest[name] == number[name]:
            members = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(members) > 1:
                found.append(tuple(sorted(members)))

    for name in graph:
        if name not in number:
            visit(name)
    return found


def parts(graph: Mapping[str, set[str]], package: str) -> dict[str, set[str]]:
    """The graph of what lies directly in `package`: its modules, and each sub-package as one."""
    inside: dict[str, set[str]] = {}
    for source, target in _within(graph, package):
        own, other = (name.removeprefix(f"{package}.").partition(".")[0] for name in (source, target))
        inside.setdefault(own, set())
        inside.setdefault(other, set())
        inside[own] |= {other} - {own}
    return inside


def arrows_up(graph: Mapping[str, set[str]], package: str, order: Sequence[str]) -> list[str]:
    """The imports inside `package` that break `order`: by one of its rooms of a later one, or by what lies beside them of any."""

    def place(name: str) -> int:
        room = name.removeprefix(f"{package}.").partition(".")[0]
        return order.index(room) + 1 if room in order else 0

    return sorted(
        f"{source} -> {target}" for source, target in _within(graph, package) if place(target) > place(source)
    )


def packages(graph: Mapping[str, set[str]]) -> list[str]:
    """Every package that holds modules."""
    return sorted({name.rpartition(".")[0] for name in graph} - {""})


def _within(graph: Mapping[str, set[str]], package: str) -> Iterator[tuple[str, str]]:
    for source, targets in graph.items():
        for target in targets:
            if source.startswith(f"{package}.") and target.startswith(f"{package}."):
                yield source, target

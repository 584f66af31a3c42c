"""User-defined search spaces, from a short TOML or Python file.

TOML: the layers around the blocks, and a table per block. A value is fixed, a list is a decision.

    stem = 16
    last = 128

    [[block]]
    operation = ["inverted", "separable", "factorized"]
    kernel = [3, 5]
    filters = [16, 24]
    layers = [1, 2]
    stride = 2

Python: `DECISIONS`, which maps names to choices, and `build(point, task)`, which returns the network of a point.
"""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from pocketcnn.documents import read_settings
from pocketcnn.errors import UsageError
from pocketcnn.nas.space import Choice, Decision, Point, Space, Task, check_decisions
from pocketcnn.nas.spaces.stages import LARGEST_FILTERS, BlockChoices, Frame, StageSpace

BLOCK = "block"


def space_from_toml(path: Path) -> StageSpace:
    """The space in a TOML file.

    Raises:
        UsageError: the file cannot be read, or does not define a space; the message says where.
    """
    document = read_settings(path, "search space")
    blocks = document.pop(BLOCK, None)
    if not isinstance(blocks, list) or not blocks or not all(isinstance(block, dict) for block in blocks):
        raise UsageError(f"The search space {path} needs a [[{BLOCK}]] table for each block.")
    name = str(document.pop("name", path.stem))
    made = []
    for number, block in enumerate(blocks, 1):
        try:
            made.append(_block(block))
        except UsageError as error:
            raise UsageError(f"{path}, block {number}: {error}") from error
    try:
        space = StageSpace(name, _frame(document), tuple(made), path)
        check_decisions(space.decisions)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    return space


def _frame(given: Mapping[str, Any]) -> Frame:
    _check_names(given, Frame, "a search space", also=("name", BLOCK))
    missing = [name for name in ("stem", "last") if name not in given]
    if missing:
        raise UsageError(f"{missing[0]} is missing. It is the number of channels of the {missing[0]} convolution.")
    for name in ("stem", "last", "head"):
        value = given.get(name, 1)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= LARGEST_FILTERS:
            raise UsageError(f"{name} must be a whole number above 0, at most {LARGEST_FILTERS:,}, not {value!r:.40}.")
    return Frame(**given)


def _block(given: Mapping[str, Any]) -> BlockChoices:
    _check_names(given, BlockChoices, "a block")
    made: dict[str, Any] = {
        name: value if name == "stride" else tuple(value) if isinstance(value, list) else (value,)
        for name, value in given.items()
    }
    empty = [name for name, value in made.items() if value == ()]
    if empty:
        raise UsageError(f"{empty[0]} has no choices.")
    return BlockChoices(**made)


def _check_names(given: Mapping[str, Any], of: type, what: str, also: tuple[str, ...] = ()) -> None:
    known = [field.name for field in fields(of)]
    unknown = [name for name in given if name not in known]
    if unknown:
        raise UsageError(f"{what} has no field {unknown[0]}; its fields are {', '.join([*known, *also])}.")


@dataclass(frozen=True)
class PythonSpace(Space):
    """A space from a Python file. It is pickled as its path."""

    path: Path

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.path.stem

    @property
    def reference(self) -> Mapping[str, Choice]:
        return {"name": self.name, "file": str(self.path.absolute())}

    @cached_property
    def _module(self) -> ModuleType:
        return _executed(self.path)

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        given = getattr(self._module, "DECISIONS", None)
        if not isinstance(given, Mapping) or not all(isinstance(each, list | tuple) for each in given.values()):
            raise UsageError(f"The search space {self.path} needs DECISIONS, a mapping of names to lists of choices.")
        try:
            return check_decisions([Decision(str(name), tuple(choices)) for name, choices in given.items()])
        except UsageError as error:
            raise UsageError(f"{self.path}: {error}") from error

    def build(self, point: Point, task: Task) -> nn.Module:
        make: Callable[[Point, Task], object] | None = getattr(self._module, "build", None)
        if make is None:
            raise UsageError(f"The search space {self.path} needs a function build(point, task).")
        network = make(dict(point), task)
        if not isinstance(network, nn.Module):
            raise UsageError(
                f"build(point, task) in {self.path} returned a {type(network).__name__}, not an nn.Module."
            )
        return network

    def describe(self, point: Point) -> list[str]:
        return [f"{name}: {choice}" for name, choice in point.items()]

    def __reduce__(self) -> tuple[type["PythonSpace"], tuple[Path]]:
        return PythonSpace, (self.path,)


def _executed(path: Path) -> ModuleType:
    """Execute a Python file as a new module, without adding it to `sys.modules`.

    Raises:
        UsageError: the file does not exist, or raises when it runs.
    """
    spec = importlib.util.spec_from_file_location(f"search_space_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"The search space {path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except OSError as error:
        raise UsageError(f"Cannot read the search space {path}: {error.strerror or error}.") from error
    except Exception as error:
        raise UsageError(f"The search space {path} cannot be executed: {type(error).__name__}: {error}") from error
    return module

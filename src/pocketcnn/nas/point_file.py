"""A point as a short, editable file: TOML with a table per block, or JSON.

[space]
name = "mnasnet"
width = 0.25

[block1]
operation = "inverted"
kernel = 5
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli_w

from pocketcnn.documents import read_settings
from pocketcnn.errors import UsageError
from pocketcnn.files import write_text
from pocketcnn.nas import POINT_SUFFIXES
from pocketcnn.nas.space import Point, Space

SPACE = "space"


def point_text(space: Space, point: Point) -> str:
    """A point as TOML. Decisions without effect are left out."""
    fields: dict[str, Any] = {SPACE: _reference_of(space)}
    for decision, matters in zip(space.decisions, space.matters(point), strict=True):
        if matters:
            *blocks, name = decision.name.split(".")
            table = fields
            for block in blocks:
                table = table.setdefault(block, {})
            table[name] = point[decision.name]
    return tomli_w.dumps(fields)


def save_point(path: Path, space: Space, point: Point) -> None:
    """Write a point to a .toml or .json file.

    Raises:
        UsageError: the file name has another suffix.
        PocketcnnError: the file cannot be written.
    """
    if _suffix(path) == ".json":
        write_text(path, json.dumps({SPACE: dict(space.reference), **dict(point)}, indent=2) + "\n")
    else:
        write_text(path, point_text(space, point))


def load_point(path: Path, space: Space) -> Point:
    """Read a point of `space`.

    Raises:
        UsageError: the file cannot be read, belongs to another space, or is not a point of `space`; the message says where.
    """
    fields = _fields(path)
    of = _reference(path, fields.pop(SPACE, space.name))["name"]
    if of != space.name:
        raise UsageError(f"The point {path} belongs to the search space {of}, not to {space.name}.")
    try:
        return space.check(dict(_flat(fields, "")))
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def space_reference(path: Path) -> Mapping[str, Any]:
    """The space that a file names, and the options from which it can be built.

    Raises:
        UsageError: the file cannot be read, or names no space.
    """
    fields = _fields(path)
    if SPACE not in fields:
        raise UsageError(
            f'{path} does not name its search space. Write for example {SPACE} = "mnasnet" above the first table.'
        )
    return _reference(path, fields[SPACE])


def _reference(path: Path, given: object) -> Mapping[str, Any]:
    found = {"name": given} if isinstance(given, str) else given
    if not isinstance(found, Mapping) or not isinstance(found.get("name"), str):
        raise UsageError(
            f'{path}: {SPACE} must be a name or a table such as {{name = "mnasnet", width = 0.25}}, not {given!r}.'
        )
    return found


def _reference_of(space: Space) -> object:
    """A space by its name, or as a table if it has options."""
    return space.name if len(space.reference) == 1 else dict(space.reference)


def _fields(path: Path) -> dict[str, Any]:
    _suffix(path)
    return read_settings(path, "point")


def _suffix(path: Path) -> str:
    if path.suffix not in POINT_SUFFIXES:
        raise UsageError(f"A point must be a .toml or .json file, not {path.name}.")
    return path.suffix


def _flat(fields: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value

"""Reading small documents: settings that people write (TOML, JSON), and the records of earlier runs (JSON).

A file may be damaged, or made to harm. So its size is limited before it is read, its depth and its numbers before they are
used, and each failure is a `UsageError` that names the file.
"""

import json
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from pocketcnn.errors import UsageError

Kind = TypeVar("Kind")

LARGEST_SETTINGS = 1_000_000
"""Bytes of a file that people write."""

LARGEST_RECORD = 64_000_000
"""Bytes of a record."""

DEEPEST = 32
"""Levels of tables and lists inside one another."""

LARGEST_INTEGER = 2**63 - 1
"""The largest that TOML allows."""

PROBLEMS_SHOWN = 3


def read_settings(path: Path, what: str) -> dict[str, Any]:
    """The table in a TOML file, or in a JSON file if its name ends in ``.json``.

    Args:
        path: of the file.
        what: for messages, such as "recipe".

    Raises:
        UsageError: the file cannot be read, is no such document, is larger than 1 MB, or holds numbers of more than 64 bits.
    """
    return parse_settings(_text(path, what, LARGEST_SETTINGS), f"{what} {path}", as_json=path.suffix == ".json")


def parse_settings(text: str, where: str, *, as_json: bool = False) -> dict[str, Any]:
    """The table that a text holds; see `read_settings`. `where` names the text in messages."""
    try:
        fields = _from_json(text) if as_json else tomllib.loads(text)
        _check(fields, "", 0)
    except RecursionError:
        raise UsageError(f"The {where} has tables or lists inside one another more than {DEEPEST} deep.") from None
    except ValueError as error:  # also of an integer with thousands of digits
        raise UsageError(f"The {where} is not valid {'JSON' if as_json else 'TOML'}: {error}.") from error
    if not isinstance(fields, dict):
        raise UsageError(f"The {where} must be a table of names and values, not a {type(fields).__name__}.")
    return fields


def read_record(path: Path, what: str, kind: type[Kind], *, advice: str) -> Kind:
    """A record that an earlier run stored as JSON, checked against the type `kind`.

    Args:
        path: of the file.
        what: for messages, such as "history of NetAdapt".
        kind: any type that pydantic validates: a dataclass, ``dict[str, float]``, …
        advice: a sentence that says what to do if the record is damaged.

    Raises:
        UsageError: the file cannot be read, or does not hold such a record.
    """
    try:
        document = _from_json(_text(path, what, LARGEST_RECORD))
        _check(document, "", 0)
        return as_record(document, kind)
    except RecursionError:
        raise UsageError(f"{path} is not a {what}: it is nested more than {DEEPEST} deep. {advice}") from None
    except ValueError as error:
        raise UsageError(f"{path} is not a {what}: {error}. {advice}") from error


def as_record(document: object, kind: type[Kind]) -> Kind:
    """`document` as a `kind`, without conversions except from list to tuple and from integer to float.

    Raises:
        ValueError: it is not; the message names the fields.
    """
    try:
        found: Kind = TypeAdapter(kind).validate_json(json.dumps(document, allow_nan=False), strict=True)
    except ValidationError as error:
        shown = [
            f"{'.'.join(map(str, problem['loc'])) or 'it'}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)
        ]
        rest = f"; and {len(shown) - PROBLEMS_SHOWN} more" if len(shown) > PROBLEMS_SHOWN else ""
        raise ValueError("; ".join(shown[:PROBLEMS_SHOWN]) + rest) from error
    return found


def _text(path: Path, what: str, largest: int) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(largest + 1)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise UsageError(f"Cannot read the {what} {path}: {getattr(error, 'strerror', None) or error}.") from error
    if len(content) > largest:
        raise UsageError(f"The {what} {path} is larger than {largest / 1e6:g} MB, which no such file is.")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"The {what} {path} is not a text file in UTF-8: {error.reason} at byte {error.start}."
        ) from error


def _from_json(text: str) -> Any:
    return json.loads(text, parse_constant=_no_constant)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _check(value: object, name: str, depth: int) -> None:
    """Check depth and numbers of a document; `name` is that of the value in it."""
    if depth > DEEPEST:
        raise RecursionError
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check(item, f"{name}.{key}" if name else str(key), depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, name, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name or 'it'} is not a finite number")
    elif isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        raise ValueError(f"{name or 'it'} is an integer of more than 64 bits")

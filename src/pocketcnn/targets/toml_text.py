"""A target as the text of its TOML file."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pocketcnn.targets.target import Target


def target_toml(target: Target, comment: str = "") -> str:
    """The text that `load_target` reads back to an equal target; `comment` stands above it, line by line."""
    fields = target.model_dump(mode="json", exclude_defaults=True)
    lines = [f"# {line}" for line in comment.splitlines()]
    return "\n".join([*lines, *_table(fields, ())]) + "\n"


def _table(fields: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    """Plain values first, as TOML wants it, then the tables below."""
    lines = [
        f"{name} = {_value(value)}" for name, value in fields.items() if value is not None and not _is_table(value)
    ]
    for name, value in fields.items():
        below = (*path, name)
        if isinstance(value, Mapping):
            lines += ["", f"[{'.'.join(below)}]", *_table(value, below)]
        elif _is_table(value):
            for entry in value:
                lines += ["", f"[[{'.'.join(below)}]]", *_table(entry, below)]
    return lines


def _is_table(value: object) -> bool:
    if isinstance(value, Mapping):
        return True
    return isinstance(value, list) and bool(value) and all(isinstance(entry, Mapping) for entry in value)


def _value(value: object) -> str:
    if isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)  # a basic string of TOML has the escapes of JSON
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_value, value))}]"
    raise TypeError(f"a {type(value).__name__} has no place in a target")

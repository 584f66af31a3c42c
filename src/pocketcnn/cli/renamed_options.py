"""Renamed options. The old names work for one more version and print the new name."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

RENAMED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "compress": {"--spread": "--allocation", "--share": "--cluster-bits", "--code": "--entropy-code"},
        "search": {"--first-by": "--warm-start"},
    }
)
"""verb -> old name -> new name."""


def with_current_names(verb: str, arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments of a verb with the current names of its options, and a note for each old name."""
    renamed, result, notes = RENAMED.get(verb, {}), [], []
    for argument in arguments:
        name, *value = argument.split("=", 1)
        if name in renamed:
            notes.append(f"{name} is now {renamed[name]}; the old name will be removed in the next version.")
        result.append("=".join((renamed.get(name, name), *value)))
    return result, notes

"""Options whose names changed: the old ones still work for one version, and say what they are called now."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

RENAMED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "compress": {"--spread": "--allocation", "--share": "--cluster-bits", "--code": "--entropy-code"},
        "search": {"--first-by": "--warm-start"},
    }
)
"""verb -> old name -> name."""


def with_names_of_today(verb: str, arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments of a verb with today's names of its options, and what to tell those who wrote an old one."""
    renamed, found, notes = RENAMED.get(verb, {}), [], []
    for argument in arguments:
        name, *value = argument.split("=", 1)
        if name in renamed:
            notes.append(f"{name} is now {renamed[name]}; the old name goes in the next version.")
        found.append("=".join((renamed.get(name, name), *value)))
    return found, notes

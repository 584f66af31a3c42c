"""Rejects options that a choice (for example a strategy) does not use, so that no option is silently ignored."""

from collections.abc import Iterable, Mapping

from pocketcnn.errors import UsageError

Reads = Mapping[str, frozenset[str]]
"""For each choice, the options that it uses, among those that some choice does not use."""


def conditional(reads: Reads) -> frozenset[str]:
    """The options that at least one choice does not use."""
    all_options = frozenset().union(*reads.values())
    return all_options - frozenset.intersection(*reads.values())


def check_used(kind: str, choice: str, reads: Reads, given: Mapping[str, str]) -> None:
    """Check that `choice` uses every given option. An unknown choice is not checked.

    Args:
        kind: what is chosen, for the message, such as ``strategy``.
        choice: its name.
        reads: the options that each choice uses.
        given: the given options, by name, each as the user writes it.

    Raises:
        UsageError: an option is not used. The message names it, and the choices that use it.
    """
    if choice not in reads:
        return
    unused = [name for name in given if name in conditional(reads) - reads[choice]]
    if unused:
        users = [f"{given[name]} is used by {_listed(_readers(name, reads))}" for name in unused]
        them = "it" if len(unused) == 1 else "them"
        raise UsageError(
            f"The {kind} {choice} does not use {_listed([given[name] for name in unused])}. Leave {them} out, or choose "
            f"another {kind}: {'; '.join(users)}."
        )


def changed(values: Mapping[str, object], defaults: Mapping[str, object]) -> dict[str, str]:
    """The options whose values differ from their defaults, as a Python user writes them."""
    return {name: name for name, value in values.items() if value != defaults[name]}


def _readers(name: str, reads: Reads) -> list[str]:
    return [choice for choice, options in reads.items() if name in options]


def _listed(words: Iterable[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} and {last}" if others else last

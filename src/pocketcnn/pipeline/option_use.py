"""Options that a choice does not read are refused: nothing that was asked for is ignored without a word."""

from collections.abc import Iterable, Mapping

from pocketcnn.errors import UsageError

Reads = Mapping[str, frozenset[str]]
"""By choice, the options that it reads, of those that not every choice reads."""


def conditional(reads: Reads) -> frozenset[str]:
    """The options that some choice does not read, or none does."""
    everything = frozenset().union(*reads.values())
    return everything - frozenset.intersection(*reads.values())


def check_used(kind: str, choice: str, reads: Reads, given: Mapping[str, str]) -> None:
    """Every option that was given must be one that `choice` reads. An unknown choice is left to whoever looks it up.

    Args:
        kind: what is chosen, for the message: ``strategy``.
        choice: which of them.
        reads: the options that each choice reads.
        given: the options that were given, with the way in which the user writes each.

    Raises:
        UsageError: an option is not read; the message names it, the choice, and the choices that read it.
    """
    if choice not in reads:
        return
    unused = [name for name in given if name in conditional(reads) - reads[choice]]
    if unused:
        told = [f"{given[name]} is used by {_listed(_readers(name, reads))}" for name in unused]
        them = "it" if len(unused) == 1 else "them"
        raise UsageError(
            f"The {kind} {choice} does not use {_listed([given[name] for name in unused])}. Leave {them} out, or choose "
            f"another {kind}: {'; '.join(told)}."
        )


def changed(values: Mapping[str, object], defaults: Mapping[str, object]) -> dict[str, str]:
    """The options whose values are not their defaults, as a Python user writes them."""
    return {name: name for name, value in values.items() if value != defaults[name]}


def _readers(name: str, reads: Reads) -> list[str]:
    return [choice for choice, options in reads.items() if name in options]


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last

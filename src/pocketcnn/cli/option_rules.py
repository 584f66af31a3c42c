"""When an option has no effect, as data: a verb refuses it then, and says why.

An option that is in no rule of its verb is always read. What depends on the images or on a network, such as a seed for a
folder that has its own splits, is found out by the library and raised there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from pocketcnn.errors import UsageError
from pocketcnn.models.libraries import is_library_name
from pocketcnn.pipeline.networks import is_architecture_file, is_file
from pocketcnn.pipeline.option_use import Reads, check_used, conditional

Values = Mapping[str, Any]
"""The parameters of a verb with their values, given or not."""


class Rule(Protocol):
    """Options that have no effect in some situation."""

    @property
    def options(self) -> frozenset[str]:
        """The parameters of the verb that it is about."""
        ...

    def check(self, given: Mapping[str, str], values: Values) -> None:
        """Raise a `UsageError` if an option was `given` (parameter -> as it was written) that has no effect."""
        ...


@dataclass(frozen=True)
class Unused:
    """Some options have no effect where `where` holds; `message` says why, with the values of the verb filled in."""

    names: tuple[str, ...]
    where: Callable[[Values], bool]
    message: str

    @property
    def options(self) -> frozenset[str]:
        return frozenset(self.names)

    def check(self, given: Mapping[str, str], values: Values) -> None:
        if any(name in given for name in self.names) and self.where(values):
            raise UsageError(self.message.format(**values))


@dataclass(frozen=True)
class OfChoice:
    """What a choice reads depends on the choice: see `check_used`. `reads` is a function, since its home may import torch."""

    choice: str
    reads: Callable[[], Reads]

    @property
    def options(self) -> frozenset[str]:
        return conditional(self.reads())

    def check(self, given: Mapping[str, str], values: Values) -> None:
        if given.keys() - {self.choice}:
            check_used(self.choice, str(values[self.choice]), self.reads(), given)


def _search_reads() -> Reads:
    from pocketcnn.nas.strategies import OPTIONS_READ

    return OPTIONS_READ


def _compress_reads() -> Reads:
    from pocketcnn.pipeline.compress.strategies import OPTIONS_READ

    return OPTIONS_READ


def _is_file(values: Values) -> bool:
    return is_file(values["network"]) and not is_architecture_file(values["network"])


def _is_of_a_library(values: Values) -> bool:
    return is_library_name(values["network"])


def _all_are_files(values: Values) -> bool:
    return all(_is_file({"network": name}) for name in values["files"])


def _none_has_a_width(values: Values) -> bool:
    return all(_is_file({"network": name}) or _is_of_a_library({"network": name}) for name in values["files"])


_BUILT = ("input_text", "width", "classes")
_OF_A_FILE = Unused(
    _BUILT,
    _is_file,
    "--input, --width and --classes are for a network by its name; the file {network} says what it is. Leave them out.",
)
_OF_A_LIBRARY = Unused(
    ("width",), _is_of_a_library, "--width is for networks of the zoo; {network} is what its name says."
)
_FOR_ONE_NETWORK = (_OF_A_FILE, _OF_A_LIBRARY)

RULES: Mapping[str, tuple[Rule, ...]] = MappingProxyType(
    {
        "models": (
            Unused(
                ("width", "classes", "input_text"),
                lambda values: values["check"],
                "--check counts each network as it was published: leave --width, --classes and --input out.",
            ),
        ),
        "train": (_OF_A_LIBRARY,),
        "eval": (
            Unused(
                ("seed",),
                lambda values: values["split"] == "all",
                "--split all takes every image, so that --seed changes nothing. Leave it out.",
            ),
        ),
        "predict": (
            Unused(
                ("as_csv",),
                lambda values: values["as_json"],
                "--json and --csv exclude each other: choose one of them.",
            ),
        ),
        "search": (OfChoice("strategy", _search_reads),),
        "compress": (
            Unused(
                ("size", "width"),
                _is_file,
                "--size and --width are for a network by its name. For smaller images of a file's network: --resolution.",
            ),
            _OF_A_LIBRARY,
            OfChoice("strategy", _compress_reads),
        ),
        "bench": (
            Unused(
                _BUILT,
                _all_are_files,
                "--input, --width and --classes are for networks by name, and only files are given. Leave them out.",
            ),
            Unused(
                ("width",),
                _none_has_a_width,
                "--width is for networks of the zoo, and none is given. Leave it out.",
            ),
        ),
        "inspect": (
            *_FOR_ONE_NETWORK,
            Unused(
                ("block", "blocks"),
                lambda values: values["diagram"] is None,
                "--block and --blocks say what to draw: add --diagram drawing.svg, or leave them out.",
            ),
        ),
        "target check": (
            *_FOR_ONE_NETWORK,
            Unused(
                ("out", "data", "kernels"),
                lambda values: not values["substitute"],
                "--out, --data and --kernels are for --substitute: add it, or leave them out.",
            ),
            Unused(
                ("epochs", "recipe", "seed"),
                lambda values: values["data"] is None,
                "--epochs, --recipe and --seed are for the recovery of the accuracy, and nothing is trained without images: add "
                "--substitute and --data, or leave them out.",
            ),
        ),
        "target layers": _FOR_ONE_NETWORK,
        "target predict": _FOR_ONE_NETWORK,
    }
)
"""By verb. `tests/cli/test_option_use.py` has a row for every option of every verb."""


def check_options(verb: str, given: Mapping[str, str], values: Values) -> None:
    """Every option that was given must have an effect.

    Args:
        verb: as it is typed, such as ``target check``.
        given: the parameters that stood on the command line, each as it was written.
        values: all parameters.

    Raises:
        UsageError: one has none; the message says why, and what to do.
    """
    for rule in RULES.get(verb, ()):
        rule.check(given, values)

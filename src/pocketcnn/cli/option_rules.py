"""Rules on options without effect, as data: a verb rejects such an option and says why.

An option without a rule always has an effect. Conditions that depend on the images or on a network, such as a seed for a
folder with its own splits, are checked by the library.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from pocketcnn.errors import UsageError
from pocketcnn.models.libraries import is_library_name
from pocketcnn.models.pretrained.source import demands_weights, has_weights
from pocketcnn.pipeline.networks import is_architecture_file, is_file
from pocketcnn.pipeline.option_use import Reads, check_used, conditional

Values = Mapping[str, Any]
"""All parameters of a verb with their values, including defaults."""


class Rule(Protocol):
    """A condition under which options have no effect."""

    @property
    def options(self) -> frozenset[str]:
        """The parameters of the verb that the rule checks."""
        ...

    def check(self, given: Mapping[str, str], values: Values) -> None:
        """Raise a `UsageError` if a `given` option (parameter -> as typed) has no effect."""
        ...


@dataclass(frozen=True)
class Unused:
    """The options `names` have no effect if `where` is true. `message` is formatted with the values of the verb."""

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
    """Options whose use depends on a choice, see `check_used`. `reads` is a function, because it may import torch."""

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
    return has_weights(values["network"])


def _is_not_a_bare_library_name(values: Values) -> bool:
    return not is_library_name(values["network"]) or demands_weights(values["network"])


def _all_are_files(values: Values) -> bool:
    return all(_is_file({"network": name}) for name in values["files"])


def _none_has_a_width(values: Values) -> bool:
    return all(_is_file({"network": name}) or _is_of_a_library({"network": name}) for name in values["files"])


_BUILT = ("input_text", "width", "classes")
_OF_A_FILE = Unused(
    _BUILT,
    _is_file,
    "--input, --width and --classes are only for networks by name; the file {network} determines them. Leave them out.",
)
_OF_A_LIBRARY = Unused(
    ("width",), _is_of_a_library, "--width applies to networks of the zoo only; the width of {network} is fixed."
)
_FROM_SCRATCH = Unused(
    ("from_scratch",),
    _is_not_a_bare_library_name,
    "--from-scratch chooses random weights for timm:NAME and torchvision:NAME. {network} leaves no choice: leave it out.",
)
_FOR_ONE_NETWORK = (_OF_A_FILE, _OF_A_LIBRARY)

RULES: Mapping[str, tuple[Rule, ...]] = MappingProxyType(
    {
        "models": (
            Unused(
                ("width", "classes", "input_text"),
                lambda values: values["check"],
                "--check uses the published width, classes and input: leave --width, --classes and --input out.",
            ),
        ),
        "train": (_OF_A_LIBRARY, _FROM_SCRATCH),
        "eval": (
            Unused(
                ("seed",),
                lambda values: values["split"] == "all",
                "--split all contains every image, so that --seed has no effect. Leave it out.",
            ),
        ),
        "predict": (
            Unused(
                ("as_csv",),
                lambda values: values["as_json"],
                "--json and --csv exclude each other. Choose one.",
            ),
        ),
        "search": (OfChoice("strategy", _search_reads),),
        "compress": (
            Unused(
                ("size", "width"),
                _is_file,
                "--size and --width are only for networks by name. For smaller images of a network from a file: --resolution.",
            ),
            Unused(
                ("resize",),
                _is_file,
                "--fit is only for networks by name; how images fit the input of {network} is recorded in it. Leave it out.",
            ),
            _OF_A_LIBRARY,
            _FROM_SCRATCH,
            OfChoice("strategy", _compress_reads),
        ),
        "bench": (
            Unused(
                _BUILT,
                _all_are_files,
                "--input, --width and --classes are only for networks by name, and all arguments are files. Leave them out.",
            ),
            Unused(
                ("width",),
                _none_has_a_width,
                "--width applies to networks of the zoo only, and none is given. Leave it out.",
            ),
        ),
        "inspect": (
            *_FOR_ONE_NETWORK,
            Unused(
                ("block", "blocks"),
                lambda values: values["diagram"] is None,
                "--block and --blocks need --diagram: add --diagram drawing.svg, or leave them out.",
            ),
        ),
        "target check": (
            *_FOR_ONE_NETWORK,
            Unused(
                ("out", "data", "kernels"),
                lambda values: not values["substitute"],
                "--out, --data and --kernels need --substitute: add it, or leave them out.",
            ),
            Unused(
                ("epochs", "recipe", "seed"),
                lambda values: values["data"] is None,
                "--epochs, --recipe and --seed are for the recovery of the accuracy, which needs images: add --substitute and "
                "--data, or leave them out.",
            ),
        ),
        "target layers": _FOR_ONE_NETWORK,
        "target predict": _FOR_ONE_NETWORK,
    }
)
"""The rules of each verb. `tests/cli/test_option_use.py` tests every option of every verb."""


def check_options(verb: str, given: Mapping[str, str], values: Values) -> None:
    """Check that every given option has an effect.

    Args:
        verb: as typed, such as ``target check``.
        given: the parameters on the command line, each as typed.
        values: all parameters.

    Raises:
        UsageError: an option has no effect. The message says why, and what to do.
    """
    for rule in RULES.get(verb, ()):
        rule.check(given, values)


LARGEST_NUMBER, LARGEST_SEED = 1_000_000, 2**63 - 1
"""Bounds of every number on the command line. A larger one is a slip, and would exhaust memory or time."""


def check_numbers(given: Mapping[str, str], values: Values) -> None:
    """Check the size of every number that is given; smaller bounds are those of the options.

    Args:
        given: the parameters on the command line, each as typed.
        values: all parameters.

    Raises:
        UsageError: a number is negative, not finite or too large.
    """
    for name, typed in given.items():
        value = values[name]
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        largest = LARGEST_SEED if name == "seed" else LARGEST_NUMBER
        if not 0 <= value <= largest:  # NaN is not either
            raise UsageError(f"{typed} must be a number from 0 to {largest:,}, not {value:g}.")

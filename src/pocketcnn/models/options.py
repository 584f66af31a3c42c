"""Validation of the options of networks: names and values.

The type of a builder's keyword says what its values are: `bool`, the choices of a `Literal`, `int` or `float`, and `| None` where
None is allowed. `RANGES` adds what a type cannot say, for the options that many networks share.
"""

import difflib
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pocketcnn.errors import UsageError


@dataclass(frozen=True, slots=True)
class Rule:
    """Which values are allowed, and a sentence that says so; `{network}` and `{option}` stand for their names."""

    accepts: Callable[[Any], bool]
    sentence: str

    def or_none(self) -> "Rule":
        """The same, and None."""
        return Rule(lambda value: value is None or self.accepts(value), f"{self.sentence}, or None")


def check_options(network: str, builder: Callable[..., object], given: Mapping[str, object]) -> None:
    """Whether `builder` takes every option that is given, and every value is one of its values.

    Raises:
        UsageError: it does not; the message names the nearest options, or the values that there are.
    """
    parameters = inspect.signature(builder).parameters
    for option, value in given.items():
        if option not in parameters:
            raise UsageError(_unknown(network, option, list(parameters)))
        rule = _rule(option, parameters[option].annotation)
        if rule is not None and not rule.accepts(value):
            raise UsageError(f"{rule.sentence.format(network=network, option=option)}, not {value!r}.")


def nearest(word: str, known: Sequence[str]) -> str:
    """`` Did you mean …?`` for the names like `word`; empty where none is like it."""
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(close)}?" if close else ""


def _unknown(network: str, option: str, known: Sequence[str]) -> str:
    if option == "width":
        return f"{network} has no width multiplier: its paper describes one width. Leave width at 1."
    return f"{network} has no option '{option}'.{nearest(option, known)} It takes {', '.join(known)}."


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


LARGEST_COUNT, LARGEST_WIDTH = 2**20, 64
"""Largest number of classes, channels, ..., and largest width multiplier. A larger one exhausts the memory."""

_COUNT = Rule(
    lambda value: _is_whole(value) and 1 <= value <= LARGEST_COUNT,
    f"{{option}} must be a whole number, 1 or more, and at most {LARGEST_COUNT:,}",
)
_PROBABILITY = Rule(
    lambda value: _is_number(value) and 0 <= value < 1, "{option} must be a probability from 0 to below 1"
)
RANGES: Mapping[str, Rule] = MappingProxyType(
    {
        "width": Rule(
            lambda value: _is_number(value) and 0 < value <= LARGEST_WIDTH,
            f"{{option}} must be a number above 0 and at most {LARGEST_WIDTH}",
        ),
        **dict.fromkeys(("classes", "in_channels", "depth", "expansion", "total_stride", "head_width"), _COUNT),
        **dict.fromkeys(("dropout", "drop_path"), _PROBABILITY),
        "classifier_padding": Rule(
            lambda value: _is_whole(value) and 0 <= value <= 1024, "{option} must be a whole number from 0 to 1024"
        ),
    }
)
TYPES: Mapping[type, Rule] = MappingProxyType(
    {
        bool: Rule(lambda value: isinstance(value, bool), "{option} must be True or False"),
        int: Rule(
            lambda value: _is_whole(value) and abs(value) <= LARGEST_COUNT,
            f"{{option}} must be a whole number, at most {LARGEST_COUNT:,}",
        ),
        float: Rule(
            lambda value: _is_number(value) and abs(value) <= LARGEST_COUNT,
            f"{{option}} must be a number, at most {LARGEST_COUNT:,}",
        ),
    }
)


def _rule(option: str, annotation: Any) -> Rule | None:
    """The rule of an option whose keyword has this type; None where anything is allowed."""
    kinds = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    others = [kind for kind in kinds if kind is not NoneType]
    rule = RANGES.get(option) or (_by_type(others[0]) if len(others) == 1 else None)
    return rule.or_none() if rule is not None and NoneType in kinds else rule


def _by_type(kind: Any) -> Rule | None:
    if get_origin(kind) is Literal:
        return _one_of(get_args(kind))
    return TYPES.get(kind) if isinstance(kind, type) else None


def _one_of(choices: tuple[Any, ...]) -> Rule:
    """Numbers to choose from count something ("4 or 8 groups"), words are one of a few."""
    between = " or " if len(choices) < 3 else ", "
    listed = between.join(map(repr, choices))
    counts = all(map(_is_whole, choices))
    sentence = f"{{network}} has {listed} {{option}}" if counts else f"{{option}} must be {listed}"
    return Rule(lambda value: any(value == each and type(value) is type(each) for each in choices), sentence)

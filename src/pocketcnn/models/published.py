"""Published parameter counts and multiply-adds, compared with the counts of this package.

`published.csv` has one row a printed figure. Where a row names a network of this package, `params` and `madds` are the
exact integers recounted from the printed list of layers (all learnable tensors; multiply-adds of convolutions and linear
layers for one image), and the count must equal them. `printed_params` and `printed_madds` are in millions, as printed:
they are met within `TOLERANCE`, or `doubt` and `reason` say why not. An empty field is a figure that nobody printed.
`confidence` is "medium" where a row could not be checked against the text of its source.
"""

import ast
import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import amc
from .registry import create

if TYPE_CHECKING:
    from torch import nn

    from .counting import Count

TOLERANCE = 0.03


class Doubt(StrEnum):
    """Why the count is not expected to match a published figure."""

    NONE = ""
    WRONG = "wrong print"
    """The layers described by the same source give another figure."""
    OTHERWISE = "counted otherwise"
    """The authors count more than convolutions and linear layers."""
    FITTED = "fitted"
    """The source leaves something open; it was chosen so that the print is met."""
    NOT_REPRODUCIBLE = "not reproducible"
    """No published list of layers gives the printed figure."""
    NOT_IN_THE_ZOO = "not in the zoo"
    """The row names no network of this package."""


@dataclass(frozen=True, slots=True)
class Published:
    """A row of the table. `network` is empty where the zoo has none; `input` begins with the side of the image."""

    paper: str
    variant: str
    input: str
    network: str
    width: float
    options: Mapping[str, Any]
    params: int | None
    madds: int | None
    printed_params: str
    printed_madds: str
    top1: float | None
    doubt: Doubt
    reason: str
    confidence: str
    source: str

    @property
    def side(self) -> int:
        """Height and width of the image.

        Raises:
            ValueError: the row names no network, and none of its own.
        """
        return int(self.input.split()[0])

    @property
    def dataset(self) -> str:
        """What `top1` was measured on."""
        return self.input.partition(" ")[2] or "ImageNet"


class Verdict(StrEnum):
    """The result of the check of a row."""

    AGREES = "agrees"
    EXPLAINED = "explained"
    """It agrees with the recount but not with the print, or only by a choice made for it; the row says why."""
    MISSED = "missed"
    NOT_COUNTED = "not counted"


@dataclass(frozen=True, slots=True)
class Checked:
    """A row, what its network counts here (None where it has none), and every disagreement that nothing explains."""

    row: Published
    count: "Count | None"
    misses: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        if self.misses:
            return Verdict.MISSED
        if self.count is None:
            return Verdict.NOT_COUNTED
        return Verdict.EXPLAINED if self.row.doubt else Verdict.AGREES

    def as_dict(self) -> dict[str, Any]:
        """The published figures, the counts, their relative differences and the verdict, for JSON."""
        row, count = self.row, self.count
        return {
            "paper": row.paper,
            "variant": row.variant,
            "input": row.input,
            "network": row.network or None,
            "width": row.width,
            "options": dict(row.options),
            "params": _figures(count and count.params, row.params, row.printed_params),
            "madds": _figures(count and count.madds, row.madds, row.printed_madds),
            "top1": row.top1,
            "verdict": self.verdict.value,
            "misses": list(self.misses),
            "doubt": row.doubt.value or None,
            "reason": row.reason or None,
            "confidence": row.confidence,
            "source": row.source,
        }


def read_published(path: Path | None = None) -> tuple[Published, ...]:
    """The whole table of the package, or of the file `path` in the same form, in its order."""
    source = path or files(__package__).joinpath("published.csv")
    with source.open(encoding="utf-8") as table:
        return tuple(_row(fields) for fields in csv.DictReader(table))


def check(rows: Iterable[Published]) -> Iterator[Checked]:
    """Count the network of each row and compare, one after another; several rows may print the same network."""
    from .counting import build_without_data, count_without_data

    built = cache(lambda network, width, options: build_without_data(builder(network, width, dict(options))))
    counted = cache(lambda side, *network: count_without_data(built(*network), (3, side, side)))
    for row in rows:
        count = counted(row.side, row.network, row.width, tuple(row.options.items())) if row.network else None
        yield Checked(row, count, tuple(mismatches(row, count)))


def mismatches(row: Published, count: "Count | None") -> Iterator[str]:
    """In words, every way in which `count` is not what `row` says, or `row` explains what needs no explanation."""
    if bool(row.doubt) != bool(row.reason):
        yield "a doubt without a reason, or a reason without a doubt"
    if count is None:
        if row.doubt is not Doubt.NOT_IN_THE_ZOO:
            yield "names no network and does not say why"
        return
    exact = {"parameters": (count.params, row.params), "multiply-adds": (count.madds, row.madds)}
    for what, (found, recounted) in exact.items():
        if recounted is not None and found != recounted:
            yield f"{found:,} {what} are counted, {recounted:,} by the published list of layers"
    yield from _misprints(row, count)


def _misprints(row: Published, count: "Count") -> Iterator[str]:
    prints = {"parameters": (count.params, row.printed_params), "multiply-adds": (count.madds, row.printed_madds)}
    printed = {what: pair for what, pair in prints.items() if pair[1]}
    if row.doubt in (Doubt.NONE, Doubt.FITTED):
        for what, (found, text) in printed.items():
            if not within_tolerance(found, text):
                yield f"{found / 1e6:.2f} M {what} are counted, {text} M are printed"
    elif all(within_rounding(*pair) for pair in printed.values()):
        yield f"the print is met, although the row says '{row.doubt}'"


def difference(count: int, printed: str) -> float | None:
    """By how much `count` exceeds the print (in millions), as a share of the print; None where nothing is printed."""
    return count / (float(printed) * 1e6) - 1 if printed else None


def within_tolerance(count: int, printed: str) -> bool:
    """Whether `count` is the print within `TOLERANCE`, or within its rounding."""
    return abs(count / 1e6 - float(printed)) <= TOLERANCE * float(printed) or within_rounding(count, printed)


def within_rounding(count: int, printed: str) -> bool:
    """Whether `count` is the print within one unit of its last digit: some tables round and others truncate."""
    unit: float = 10 ** -len(printed.partition(".")[2])
    return abs(count / 1e6 - float(printed)) <= unit


def builder(network: str, width: float, options: Mapping[str, Any]) -> "Callable[[], nn.Module]":
    """What builds the network of a row: one of the zoo, or one of the published pruned ones."""
    return amc.NETWORKS.get(network) or (lambda: create(network, width=width, **options))


def _figures(counted: int | None, recounted: int | None, printed: str) -> dict[str, float | None]:
    return {
        "counted": counted,
        "recounted": recounted,
        "printed_millions": float(printed) if printed else None,
        "difference": None if counted is None else difference(counted, printed),
    }


def _row(fields: dict[str, str]) -> Published:
    return Published(
        paper=fields["paper"],
        variant=fields["variant"],
        input=fields["input"],
        network=fields["network"],
        width=float(fields["width"] or 1),
        options=_options(fields["options"]),
        params=int(fields["params"]) if fields["params"] else None,
        madds=int(fields["madds"]) if fields["madds"] else None,
        printed_params=fields["printed_params"],
        printed_madds=fields["printed_madds"],
        top1=float(fields["top1"]) if fields["top1"] else None,
        doubt=Doubt(fields["doubt"]),
        reason=fields["reason"],
        confidence=fields["confidence"],
        source=fields["source"],
    )


def _options(text: str) -> dict[str, Any]:
    """``groups=3 classifier_bias=False`` as keywords."""
    pairs = (option.split("=", 1) for option in text.split())
    return {key: ast.literal_eval(value) for key, value in pairs}

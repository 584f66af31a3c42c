"""Units of size, time and count, for the budget parser and all printed figures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from math import isfinite

Units = Mapping[str, Decimal]
"""Name of a unit -> its value in base units; the base unit comes first."""

BYTES: Units = {
    "B": Decimal(1),
    "kB": Decimal(10) ** 3,
    "KiB": Decimal(2) ** 10,
    "MB": Decimal(10) ** 6,
    "MiB": Decimal(2) ** 20,
    "GB": Decimal(10) ** 9,
    "GiB": Decimal(2) ** 30,
}
SECONDS: Units = {"s": Decimal(1), "ms": Decimal("1e-3"), "us": Decimal("1e-6")}
COUNT: Units = {"": Decimal(1), "k": Decimal(10) ** 3, "M": Decimal(10) ** 6, "G": Decimal(10) ** 9}
PERCENT: Units = {"%": Decimal("1e-2")}


def find_unit(units: Units, text: str) -> str | None:
    """The name in `units` that `text` means, case-insensitive; ``µs`` is ``us``."""
    wanted = text.replace("µ", "u").replace("μ", "u").casefold()  # the micro sign and the Greek letter
    return next((name for name in units if name.casefold() == wanted), None)


def to_base(number: str, factor: Decimal) -> float:
    """`number` times `factor`, rounded once: ``0.3`` us is the float nearest to 3e-7 s."""
    try:
        return float(Decimal(number) * factor)
    except (InvalidOperation, OverflowError):
        return float("inf")


def exact(value: float, units: Units) -> str:
    """`value`, in base units, as the shortest number and unit from which `to_base` returns exactly the same float.

    The base unit always does; another unit does if the division is exact.
    """
    numbers = {unit: _plain(Decimal(repr(value)) / factor) for unit, factor in units.items()}
    texts = [f"{number}{unit}" for unit, number in numbers.items() if to_base(number, units[unit]) == value]
    return min(texts, key=len)


def format_bytes(count: float) -> str:
    """Format as ``41.2 kB`` (1 kB is 1000 bytes)."""
    return _scaled(count, ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")))


def format_seconds(seconds: float) -> str:
    """Format as ``0.31 ms``: milliseconds from 0.01 ms to 1 s, so that latencies are comparable."""
    return _scaled(seconds, ((1, "s"), (1e-5, "ms"), (0, "us")), scale={"s": 1, "ms": 1e-3, "us": 1e-6})


def format_count(count: float) -> str:
    """Format multiply-adds or parameters as ``5.4 M``."""
    return _scaled(count, ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""))).rstrip()


def format_percent(fraction: float) -> str:
    """Format 0.5 as ``50 %``."""
    return f"{_three_digits(fraction * 100)} %"


def _scaled(value: float, steps: tuple[tuple[float, str], ...], scale: Mapping[str, float] | None = None) -> str:
    """`value` in the first unit of `steps` that it reaches after rounding to three digits."""
    if not isfinite(value):
        return str(value)
    rounded = float(f"{value:.3g}")
    least, unit = next((step for step in steps if abs(rounded) >= step[0]), steps[-1])
    return f"{_three_digits(value / (scale[unit] if scale else least))} {unit}"


def _three_digits(value: float) -> str:
    return _plain(Decimal(f"{value:.3g}"))


def _plain(number: Decimal) -> str:
    """Digits without an exponent if they stay readable, and without trailing zeros."""
    normal = number.normalize()
    digits = f"{normal:f}"
    return digits if len(digits) <= 20 else f"{normal:E}".replace("E+", "e").replace("E", "e")


@dataclass(frozen=True)
class Dimension:
    """The units in which one kind of quantity is parsed and printed.

    Attributes:
        units: the base unit first.
        written: formats a figure in base units, with three digits.
        unrounded: unit, its value in base units, and decimals for unrounded figures.
    """

    units: Units
    written: Callable[[float], str]
    unrounded: tuple[str, float, int]

    @property
    def names(self) -> str:
        """The names of the units for the help: ``no unit, k, M, G``."""
        return ", ".join(name or "no unit" for name in self.units)


SIZE = Dimension(BYTES, format_bytes, ("bytes", 1, 0))
TIME = Dimension(SECONDS, format_seconds, ("ms", 1e-3, 4))
AMOUNT = Dimension(COUNT, format_count, ("", 1, 0))

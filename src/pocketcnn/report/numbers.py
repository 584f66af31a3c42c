"""Number formats of the report: three significant digits, a suitable unit, and no-break spaces."""

import json
from collections.abc import Callable
from typing import Any

from pocketcnn.targets.quantities import Quantity, format_quantity
from pocketcnn.targets.units import format_bytes, format_count, format_percent, format_seconds

NO_BREAK_SPACE = "\u00a0"
MINUS = "\u2212"


def size(count: float) -> str:
    """``41.2 kB``."""
    return _whole(format_bytes(count))


def time(seconds: float) -> str:
    """A latency: ``0.31 ms``."""
    return _whole(format_seconds(seconds))


def amount(number: float) -> str:
    """``5.4 M``."""
    return _whole(format_count(number))


def grouped(number: int) -> str:
    """An integer in full: ``1 234 567``."""
    return f"{number:,}".replace(",", NO_BREAK_SPACE)


def percent(share: float) -> str:
    """A share with three significant digits: ``12.5 %``."""
    return _whole(format_percent(share))


def accuracy(share: float) -> str:
    """``97.8 %`` with one decimal, or with more if a share strictly between 0 and 1 would be rounded to 0 % or 100 %."""
    if share in (0.0, 1.0):
        return f"{share:.0%}".replace("%", f"{NO_BREAK_SPACE}%")
    texts = (f"{100 * share:.{decimals}f}" for decimals in range(1, 7))
    text = next((text for text in texts if 0 < float(text) < 100), f"{100 * share!r}")
    return f"{text}{NO_BREAK_SPACE}%"


def interval(low: float, high: float) -> str:
    """``95.7 to 98.9 %``."""
    return f"{accuracy(low).removesuffix(f'{NO_BREAK_SPACE}%')} to {accuracy(high)}"


def span(low: float, high: float, write: Callable[[float], str]) -> str:
    """A range: ``0.139 to 0.188 ms``. The unit is written once if both ends have the same."""
    start, end = write(low), write(high)
    number, _, unit = start.partition(NO_BREAK_SPACE)
    same = unit == end.partition(NO_BREAK_SPACE)[2]
    return f"{number if same else start}{NO_BREAK_SPACE}to{NO_BREAK_SPACE}{end}"


def points(difference: float) -> str:
    """A difference of two shares: ``−0.6 points``."""
    value = round(100 * difference, 1)
    sign = "+" if value > 0 else MINUS if value < 0 else "±"
    return f"{sign}{abs(value):.1f}{NO_BREAK_SPACE}points"


def figure(quantity: str, value: float) -> str:
    """`value`, in base units, of a budget quantity such as ``latency``."""
    return _whole(format_quantity(Quantity(quantity), value))


def exact(quantity: str, value: float) -> str:
    """`value`, in base units, with all digits: ``60 012 bytes``, ``0.3147 ms``."""
    unit, base, decimals = Quantity(quantity).row.dimension.unrounded
    text = f"{value / base:.{decimals}f}" if decimals else grouped(round(value / base))
    return f"{text}{NO_BREAK_SPACE}{unit}".rstrip(NO_BREAK_SPACE)


def duration(seconds: float) -> str:
    """A duration: ``0.4 s``, ``38 s``, ``2 min 22 s``, ``1 h 05 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f}{NO_BREAK_SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
    return _whole(text)


def plain(value: Any) -> str:
    """A setting or figure of any type: floats with four significant digits, nested values as JSON."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple) and all(isinstance(part, str | int | float) for part in value):
        return ", ".join(map(plain, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _whole(text: str) -> str:
    return text.replace(" ", NO_BREAK_SPACE)

"""Scales from values to positions in a chart, and the ticks of their axes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

LOG_FROM_RATIO = 5.0  # ratio of the largest to the smallest value from which an axis is logarithmic
MAX_TICKS = 6
_ROUND = (1, 2, 5)


@dataclass(frozen=True)
class Scale:
    """Maps values from `low` to `high` to positions from `start` to `end`, linearly or (`log`) logarithmically."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    @classmethod
    def around(
        cls,
        values: Sequence[float],
        start: float,
        end: float,
        *,
        bounds: tuple[float, float] | None = None,
        log: bool = False,
    ) -> "Scale":
        """A scale with a margin around `values`, but not beyond `bounds`.

        With `log`, the scale is logarithmic if the values are positive and span more than `LOG_FROM_RATIO`.
        """
        low, high = min(values), max(values)
        if log and low > 0 and high / low > LOG_FROM_RATIO:
            margin = (high / low) ** 0.08
            return cls(low / margin, high * margin, start, end, log=True)
        margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
        smallest, largest = bounds or (-math.inf, math.inf)
        return cls(max(smallest, low - margin), min(largest, high + margin), start, end)

    def __call__(self, value: float) -> float:
        """The position of `value`, rounded to one decimal."""
        low, high, value = (math.log(number) if self.log else number for number in (self.low, self.high, value))
        return round(self.start + (value - low) / (high - low) * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        """Round numbers within the scale, ascending, about `MAX_TICKS` at most."""
        if self.log:
            ticks = _log_ticks(self.low, self.high)
            if len(ticks) >= 2:
                return ticks
        return _even_ticks(self.low, self.high)


def _even_ticks(low: float, high: float) -> list[float]:
    magnitude = 10.0 ** math.floor(math.log10((high - low) / MAX_TICKS))
    step = next(factor * magnitude for factor in (*_ROUND, 10) if (high - low) / (factor * magnitude) <= MAX_TICKS)
    slack = 1e-9 * step
    first, last = math.ceil((low - slack) / step), math.floor((high + slack) / step)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in (_ROUND, (1, 3), (1,)):
        ticks = [factor * 10.0**decade for decade in decades for factor in factors]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) <= MAX_TICKS:
            return inside
    return inside[:: math.ceil(len(inside) / MAX_TICKS)]

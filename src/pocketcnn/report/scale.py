"""From values to positions on a drawing, and the round numbers to write along its axes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

LOG_FROM_RATIO = 5.0  # values that span more than this read better on a logarithmic axis
MOST_TICKS = 6
_ROUND = (1, 2, 5)


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` onto positions from `start` to `end`, evenly or (`log`) by ratio."""

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
        """A scale that leaves some room beyond `values`, but none beyond `bounds`.

        With `log` the scale is logarithmic where the values are positive and span more than `LOG_FROM_RATIO`.
        """
        low, high = min(values), max(values)
        if log and low > 0 and high / low > LOG_FROM_RATIO:
            room = (high / low) ** 0.08
            return cls(low / room, high * room, start, end, log=True)
        room = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
        least, most = bounds or (-math.inf, math.inf)
        return cls(max(least, low - room), min(most, high + room), start, end)

    def __call__(self, value: float) -> float:
        """The position of `value`, to a tenth."""
        low, high, value = (math.log(number) if self.log else number for number in (self.low, self.high, value))
        return round(self.start + (value - low) / (high - low) * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        """Round numbers within the scale, ascending, some `MOST_TICKS` of them at most."""
        if self.log:
            ticks = _log_ticks(self.low, self.high)
            if len(ticks) >= 2:
                return ticks
        return _even_ticks(self.low, self.high)


def _even_ticks(low: float, high: float) -> list[float]:
    magnitude = 10.0 ** math.floor(math.log10((high - low) / MOST_TICKS))
    step = next(factor * magnitude for factor in (*_ROUND, 10) if (high - low) / (factor * magnitude) <= MOST_TICKS)
    slack = 1e-9 * step
    first, last = math.ceil((low - slack) / step), math.floor((high + slack) / step)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in (_ROUND, (1, 3), (1,)):
        ticks = [factor * 10.0**decade for decade in decades for factor in factors]
        inside = [tick for tick in ticks if low <= tick <= high]
        if len(inside) <= MOST_TICKS:
            return inside
    return inside[:: math.ceil(len(inside) / MOST_TICKS)]

"""What a budget can limit, in which units, and one limit."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite

from pocketcnn.errors import UsageError
from pocketcnn.targets import units


class Quantity(StrEnum):
    """What a limit can be set on."""

    SIZE = "size"  # bytes of the deployable file
    STORED = "stored"  # bytes of the coded model file, for storing and sending
    LATENCY = "latency"  # seconds for one image
    RAM = "ram"  # bytes of activations at their peak
    MACS = "macs"  # multiply-adds (MAdds) for one image
    PARAMS = "params"  # parameters


UNITS: Mapping[Quantity, units.Units] = {
    Quantity.SIZE: units.BYTES,
    Quantity.STORED: units.BYTES,
    Quantity.LATENCY: units.SECONDS,
    Quantity.RAM: units.BYTES,
    Quantity.MACS: units.COUNT,
    Quantity.PARAMS: units.COUNT,
}
DEFAULT_TARGET = "onnxruntime-cpu"

Subject = Quantity | tuple[Quantity, str]
"""What a figure belongs to: a quantity, or ``(Quantity.LATENCY, target)`` where a budget names several targets."""


@dataclass(frozen=True)
class Limit:
    """``quantity <= bound``.

    `bound` is in base units (bytes, seconds, multiply-adds, parameters), or a fraction of the unpruned parent's
    figure where `relative`. `target` names the device and runtime of a latency and is None for all else.
    """

    quantity: Quantity
    bound: float
    relative: bool = False
    target: str | None = None

    def __post_init__(self) -> None:
        if not (isfinite(self.bound) and self.bound > 0):
            raise UsageError(f"The limit on {self.quantity} must be a number above zero, not {self.bound}.")
        if (self.target is not None) != (self.quantity is Quantity.LATENCY):
            raise UsageError("A limit on latency names a target, and a limit on anything else names none.")

    def __str__(self) -> str:
        """The text that `Budget.parse` reads back to an equal limit."""
        bound = units.exact(self.bound, units.PERCENT if self.relative else UNITS[self.quantity])
        return f"{self.quantity}<={bound}" + (f"@{self.target}" if self.target else "")


def format_quantity(quantity: Quantity, value: float) -> str:
    """`value`, in base units, for people: ``41.2 kB``, ``0.31 ms``, ``5.4 M``."""
    if UNITS[quantity] is units.BYTES:
        return units.format_bytes(value)
    return units.format_seconds(value) if quantity is Quantity.LATENCY else units.format_count(value)

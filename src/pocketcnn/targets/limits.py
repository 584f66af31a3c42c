"""One limit of a budget."""

from dataclasses import dataclass
from math import isfinite

from pocketcnn.errors import UsageError
from pocketcnn.targets import units
from pocketcnn.targets.quantities import Quantity

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
        if (self.target is not None) != self.quantity.has_target:
            raise UsageError("A limit on latency names a target, and a limit on anything else names none.")

    @property
    def subject(self) -> Subject:
        """What a figure must be of to be judged by this limit."""
        return self.quantity if self.target is None else (self.quantity, self.target)

    def __str__(self) -> str:
        """The text that `Budget.parse` reads back to an equal limit."""
        bound = units.exact(self.bound, units.PERCENT if self.relative else self.quantity.row.dimension.units)
        return f"{self.quantity}<={bound}" + (f"@{self.target}" if self.target else "")

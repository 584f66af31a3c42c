"""One limit of a budget."""

from dataclasses import dataclass
from math import isfinite

from pocketcnn.errors import UsageError
from pocketcnn.targets import units
from pocketcnn.targets.quantities import Quantity

DEFAULT_TARGET = "onnxruntime-cpu"

Subject = Quantity | tuple[Quantity, str]
"""What a figure describes: a quantity, or ``(Quantity.LATENCY, target)`` if a budget has several targets."""


@dataclass(frozen=True)
class Limit:
    """``quantity <= bound``.

    Attributes:
        quantity: what is limited.
        bound: in base units (bytes, seconds, multiply-adds, parameters), or a fraction of the unpruned parent's figure.
        relative: whether it is such a fraction.
        target: device and runtime of a latency limit, else None.
    """

    quantity: Quantity
    bound: float
    relative: bool = False
    target: str | None = None

    def __post_init__(self) -> None:
        if not (isfinite(self.bound) and self.bound > 0):
            raise UsageError(f"The limit on {self.quantity} must be a finite number above zero, not {self.bound}.")
        if (self.target is not None) != self.quantity.has_target:
            raise UsageError("A limit on latency needs a target; a limit on any other quantity must not have one.")

    @property
    def subject(self) -> Subject:
        """The subject of figures that this limit applies to."""
        return self.quantity if self.target is None else (self.quantity, self.target)

    def __str__(self) -> str:
        """The text from which `Budget.parse` builds an equal limit."""
        bound = units.exact(self.bound, units.PERCENT if self.relative else self.quantity.row.dimension.units)
        return f"{self.quantity}<={bound}" + (f"@{self.target}" if self.target else "")

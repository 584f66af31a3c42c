"""The quantities that a budget can limit: one table row per quantity.

Grammar, help texts, printed figures, device limits and the budget evaluator (`compression.evaluator`) read this table.
Quantities are listed nowhere else. Every quantity is a cost: lower is better, and a limit is an upper bound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Protocol

from pocketcnn.targets import units

if TYPE_CHECKING:
    from pocketcnn.cost import Cost


class Artefacts(Protocol):
    """A network in its deployed form, on which quantities are counted. Each part is computed on demand."""

    @property
    def cost(self) -> Cost:
        """The cost of the deployed graph, for one image."""

    @property
    def onnx(self) -> bytes:
        """The ONNX file."""

    @property
    def coded_bytes(self) -> int:
        """Bytes of the smallest coded model file."""


class Effort(IntEnum):
    """The effort to obtain a figure, the lowest first. Only `COUNT` does not need weight values."""

    COUNT = 0
    WRITE = 1
    CODE = 2
    TIME = 3


@dataclass(frozen=True)
class QuantityRow:
    """The properties of a quantity.

    Attributes:
        dimension: its units for parsing and printing.
        about: its description in the help.
        how: how its figure is obtained, for reports.
        figure: its value in base units for a deployed network; None for a latency, which depends on a target.
        effort: of `figure`.
        in_all_precisions: whether it is the same in float32 and int8.
        device: the attribute of a `Target` that limits it, if there is one.
        aliases: other names in budgets.
    """

    dimension: units.Dimension
    about: str
    how: str = ""
    figure: Callable[[Artefacts], float] | None = None
    effort: Effort = Effort.COUNT
    in_all_precisions: bool = False
    device: str | None = None
    aliases: tuple[str, ...] = ()


class Quantity(StrEnum):
    """The quantities that a limit can be set on."""

    row: QuantityRow

    def __new__(cls, name: str, *rows: QuantityRow) -> Quantity:
        """A member whose value is its name in budgets, with its one row."""
        member = str.__new__(cls, name)
        member._value_ = name
        (member.row,) = rows
        return member

    SIZE = (
        "size",
        QuantityRow(
            units.SIZE,
            about="size of the deployed file",
            how="bytes of the ONNX file",
            figure=lambda deployed: len(deployed.onnx),
            effort=Effort.WRITE,
            device="storage",
        ),
    )
    CODED = (
        "coded",
        QuantityRow(
            units.SIZE,
            about="size of the entropy-coded model file, for storage and transfer, not for running",
            how="bytes of the coded model file",
            figure=lambda deployed: deployed.coded_bytes,
            effort=Effort.CODE,
            aliases=("stored",),
        ),
    )
    LATENCY = ("latency", QuantityRow(units.TIME, about="latency of one image", effort=Effort.TIME))
    RAM = (
        "ram",
        QuantityRow(
            units.SIZE,
            about="peak memory of activations",
            how="peak memory of activations, by liveness analysis",
            figure=lambda deployed: deployed.cost.peak_activation_bytes,
            device="ram",
        ),
    )
    MACS = (
        "macs",
        QuantityRow(
            units.AMOUNT,
            about="multiply-adds for one image",
            how="multiply-adds of convolutions and linear layers, for one image",
            figure=lambda deployed: deployed.cost.madds,
            in_all_precisions=True,
            aliases=("madds",),
        ),
    )
    PARAMS = (
        "params",
        QuantityRow(
            units.AMOUNT,
            about="weights and biases",
            how="weights and biases, batch normalization folded",
            figure=lambda deployed: deployed.cost.params,
            in_all_precisions=True,
        ),
    )

    STORED = CODED  # its old name, deprecated

    @classmethod
    def _missing_(cls, value: object) -> Quantity | None:
        """The quantity with this alias, such as an older version wrote in a result."""
        return next((member for member in cls if value in member.row.aliases), None)

    @property
    def has_target(self) -> bool:
        """Whether its figures belong to a target."""
        return self.row.figure is None


def format_quantity(quantity: Quantity, value: float) -> str:
    """Format `value`, in base units: ``41.2 kB``, ``0.31 ms``, ``5.4 M``."""
    return quantity.row.dimension.written(value)


def named_quantities() -> dict[str, Quantity]:
    """All quantities by their names and aliases."""
    own = {quantity.value: quantity for quantity in Quantity}
    return own | {alias: quantity for quantity in Quantity for alias in quantity.row.aliases}


def described_quantities(example_target: str) -> str:
    """A help line per quantity: its name, units and description."""
    return "\n".join(f"  {quantity:<9} {_described(quantity, example_target)}" for quantity in Quantity)


def _described(quantity: Quantity, example_target: str) -> str:
    row = quantity.row
    text = row.dimension.names
    if quantity.has_target:
        text += f"; then @target, such as @{example_target} (also the target when none is named)"
    text += f": {row.about}"
    if row.aliases:
        text += f" (also called {', '.join(row.aliases)})"
    return text

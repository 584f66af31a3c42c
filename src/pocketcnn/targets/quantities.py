"""What a budget can limit: one row a quantity, and all that follows from it.

The grammar of budgets, their help, printed figures, the limits of devices and the budget evaluator (`compression.evaluator`)
read this table, and nothing else lists the quantities. Every quantity is a cost: less is better, and a limit is an upper bound.
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
    """A network as it is deployed: what a quantity is counted on. Each part is made when it is first asked for."""

    @property
    def cost(self) -> Cost:
        """Of the deployed graph, for one image."""

    @property
    def onnx(self) -> bytes:
        """The ONNX file."""

    @property
    def coded_bytes(self) -> int:
        """Bytes of the smallest coded model file."""


class Effort(IntEnum):
    """What it takes to know a figure, the least first. `COUNT` alone needs no values of weights."""

    COUNT = 0
    WRITE = 1
    CODE = 2
    TIME = 3


@dataclass(frozen=True)
class QuantityRow:
    """What is known of a quantity.

    Attributes:
        dimension: the units that it is read and printed in.
        about: what it is, for the help.
        how: how its figure is come by, for reports.
        figure: in base units, of a network as it is deployed; None for a time, which is that on a target.
        effort: what `figure` takes.
        in_all_precisions: it is the same in float32 and int8.
        device: the attribute of a `Target` that limits it, if there is one.
        aliases: other names in the text of a budget.
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
    """What a limit can be set on."""

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
            about="the file that is deployed",
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
            about="the entropy-coded model file, which is for storing and sending, not for running",
            how="bytes of the coded model file",
            figure=lambda deployed: deployed.coded_bytes,
            effort=Effort.CODE,
            aliases=("stored",),
        ),
    )
    LATENCY = ("latency", QuantityRow(units.TIME, about="the time of one image", effort=Effort.TIME))
    RAM = (
        "ram",
        QuantityRow(
            units.SIZE,
            about="activations at their peak",
            how="activations alive at their peak, by liveness",
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

    STORED = CODED  # its old name, for one version

    @classmethod
    def _missing_(cls, value: object) -> Quantity | None:
        """The quantity of another name, such as an older version wrote it in a result."""
        return next((member for member in cls if value in member.row.aliases), None)

    @property
    def has_target(self) -> bool:
        """Whether a figure of it is one on a target."""
        return self.row.figure is None


def format_quantity(quantity: Quantity, value: float) -> str:
    """`value`, in base units, for people: ``41.2 kB``, ``0.31 ms``, ``5.4 M``."""
    return quantity.row.dimension.written(value)


def named_quantities() -> dict[str, Quantity]:
    """All quantities by their names and by their other names."""
    own = {quantity.value: quantity for quantity in Quantity}
    return own | {alias: quantity for quantity in Quantity for alias in quantity.row.aliases}


def described_quantities(example_target: str) -> str:
    """A line for each quantity: its name, its units, what it is."""
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

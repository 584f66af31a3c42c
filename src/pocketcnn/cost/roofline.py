"""The roofline: no layer is quicker than its arithmetic at the peak rate, nor than its bytes at the memory's bandwidth.

Williams, Waterman and Patterson, "Roofline: An Insightful Visual Performance Model for Multicore Architectures", 2009.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from pocketcnn.cost.cost import Cost, LayerCost
from pocketcnn.errors import UsageError

BoundBy = Literal["compute", "memory"]


@dataclass(frozen=True, slots=True)
class LayerBound:
    """The least time of one layer, in seconds: for its multiply-adds, and for moving its weights and values once."""

    name: str
    op: str
    compute_seconds: float
    memory_seconds: float

    @property
    def seconds(self) -> float:
        """The larger of the two: both go on at once."""
        return max(self.compute_seconds, self.memory_seconds)

    @property
    def bound_by(self) -> BoundBy:
        """What the layer waits for."""
        return "compute" if self.compute_seconds > self.memory_seconds else "memory"


@dataclass(frozen=True, slots=True)
class Roofline:
    """The bounds of all layers, in the order in which they run.

    Attributes:
        peak_madds: multiply-adds a second that were assumed; bandwidth: bytes a second.
    """

    peak_madds: float
    bandwidth: float
    layers: tuple[LayerBound, ...]

    @property
    def seconds(self) -> float:
        """The bound of the network: its layers run one after the other."""
        return sum(layer.seconds for layer in self.layers)

    @property
    def ridge(self) -> float:
        """Multiply-adds for each byte above which a layer is bound by compute."""
        return self.peak_madds / self.bandwidth


def roofline(cost: Cost, peak_madds: float, bandwidth: float, fused: Collection[str] = ()) -> Roofline:
    """The bound of each layer of `cost` at `peak_madds` multiply-adds and `bandwidth` bytes a second.

    Layers in `fused` are computed inside the layer before them (see `fused_layers`), and take no time of their own.

    Raises:
        UsageError: a rate is not above zero.
    """
    if not (peak_madds > 0 and bandwidth > 0):
        raise UsageError(
            f"Rates must be above zero, not {peak_madds:g} multiply-adds and {bandwidth:g} bytes a second."
        )
    skipped = frozenset(fused)
    return Roofline(
        peak_madds,
        bandwidth,
        tuple(_bound(layer, peak_madds, bandwidth, layer.name in skipped) for layer in cost.layers),
    )


def _bound(layer: LayerCost, peak_madds: float, bandwidth: float, fused: bool) -> LayerBound:
    moved = 0 if fused else layer.memory_access_bytes
    return LayerBound(layer.name, layer.op, layer.madds / peak_madds, moved / bandwidth)

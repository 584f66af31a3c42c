"""Roofline model: the time of a layer is at least its arithmetic at peak rate, and its memory access at full bandwidth.

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
    """Lower bounds on the time of one layer, in seconds: for its multiply-adds and for its memory access."""

    name: str
    op: str
    compute_seconds: float
    memory_seconds: float

    @property
    def seconds(self) -> float:
        """The larger bound, since computation and memory access overlap."""
        return max(self.compute_seconds, self.memory_seconds)

    @property
    def bound_by(self) -> BoundBy:
        """Whether the layer is bound by compute or by memory."""
        return "compute" if self.compute_seconds > self.memory_seconds else "memory"


@dataclass(frozen=True, slots=True)
class Roofline:
    """The bounds of all layers, in execution order.

    Attributes:
        peak_madds: assumed peak rate in multiply-adds per second; bandwidth: assumed bandwidth in bytes per second.
    """

    peak_madds: float
    bandwidth: float
    layers: tuple[LayerBound, ...]

    @property
    def seconds(self) -> float:
        """The bound of the network in seconds: the sum over its layers, which run one after another."""
        return sum(layer.seconds for layer in self.layers)

    @property
    def ridge(self) -> float:
        """Ridge point: the arithmetic intensity, in multiply-adds per byte, above which a layer is bound by compute."""
        return self.peak_madds / self.bandwidth


def roofline(cost: Cost, peak_madds: float, bandwidth: float, fused: Collection[str] = ()) -> Roofline:
    """The bound of each layer of `cost` at `peak_madds` multiply-adds per second and `bandwidth` bytes per second.

    Layers in `fused` (see `fused_layers`) are part of the layer before them and take no time.

    Raises:
        UsageError: a rate is not positive.
    """
    if not (peak_madds > 0 and bandwidth > 0):
        raise UsageError(
            f"Rates must be positive, not {peak_madds:g} multiply-adds and {bandwidth:g} bytes per second."
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

"""Roofline estimates of latency for targets that are not on this machine: lower bounds, never measurements."""

from collections.abc import Mapping
from dataclasses import dataclass

from pocketcnn.cost import count, fused_layers, roofline
from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph, for_inference
from pocketcnn.targets.capability import Fallback
from pocketcnn.targets.placement import Placement, place
from pocketcnn.targets.target import Numerics, Target
from pocketcnn.targets.verdict import Figure


@dataclass(frozen=True)
class LayerEstimate:
    """Seconds of one layer: its roofline bound on the processor that runs it, times its slow factor, plus `transfers`.

    `transfers` are the seconds of value transfers that it causes.
    """

    name: str
    op: str
    seconds: float
    transfers: float
    bound_by: str
    falls_back: bool


@dataclass(frozen=True)
class Estimate:
    """The estimated latency of a network, for one image."""

    target: str
    numerics: Numerics
    layers: tuple[LayerEstimate, ...]

    @property
    def seconds(self) -> float:
        """The sum over all layers."""
        return sum(layer.seconds for layer in self.layers)

    @property
    def fallback_seconds(self) -> float:
        """The part of the layers that fall back, including transfers."""
        return sum(layer.seconds for layer in self.layers if layer.falls_back)

    def figure(self) -> Figure:
        """A figure for a budget, marked as an estimate."""
        how = (
            f"not measured: estimated for {self.target} in {self.numerics} from its peak rate and bandwidth "
            "(roofline, layer by layer); real times are longer"
        )
        return Figure(self.seconds, self.seconds, self.seconds, how, estimated=True)


def numerics_of(graph: Graph) -> Numerics:
    """The precision of a graph."""
    return "int8" if graph.numerics else "float32"


def estimate(graph: Graph, target: Target) -> Estimate:
    """The lower bound on the latency of `graph` on `target`, in the graph's precision.

    Raises:
        UsageError: the target has no rates for this precision, or no processor for an operation.
    """
    folded = for_inference(graph)
    return estimate_placed(place(folded, target), target)


def has_rates(target: Target, numerics: Numerics) -> bool:
    """Whether latencies can be estimated in the precision `numerics`."""
    return numerics in target.peak_madds and target.bandwidth is not None


def estimate_placed(placement: Placement, target: Target) -> Estimate:
    """The estimate for layers with a known placement. Raises as `estimate` does."""
    graph = placement.graph
    precision = numerics_of(graph)
    bandwidth = target.bandwidth
    if precision not in target.peak_madds or bandwidth is None:
        raise UsageError(_no_rates(target, precision))
    fallback = target.fallback
    if placement.lacking and fallback is None:
        name, pattern = next(iter(placement.lacking.items()))
        raise UsageError(
            f"{target.name} does not support {name} ({pattern.why or pattern.op}) and has no fallback processor."
        )
    cost, fused = count(graph), frozenset(filter(placement.runs_beside_its_source, fused_layers(graph)))
    on_device_bounds = roofline(cost, target.peak_madds[precision], bandwidth, fused)
    fallback_bounds = roofline(cost, fallback.peak_madds, fallback.bandwidth, fused) if fallback else on_device_bounds
    transfers = _transfers(placement, fallback)
    layers = []
    for on_device, elsewhere in zip(on_device_bounds.layers, fallback_bounds.layers, strict=True):
        falls_back = placement.falls_back(on_device.name)
        bound = elsewhere if falls_back else on_device
        slow = placement.slow.get(bound.name)
        transfer = transfers.get(bound.name, 0.0)
        seconds = bound.seconds * (slow.factor if slow else 1.0) + transfer
        layers.append(LayerEstimate(bound.name, bound.op, seconds, transfer, bound.bound_by, falls_back))
    return Estimate(target.name, precision, tuple(layers))


def _transfers(placement: Placement, fallback: Fallback | None) -> Mapping[str, float]:
    """Seconds of transfers, by the layer that falls back."""
    seconds: dict[str, float] = {}
    for crossing in placement.crossings if fallback else ():
        cost = fallback.transfer_seconds + crossing.size / fallback.transfer_bandwidth  # type: ignore[union-attr]
        seconds[crossing.layer] = seconds.get(crossing.layer, 0.0) + cost
    return seconds


def _no_rates(target: Target, precision: Numerics) -> str:
    if precision not in target.numerics:
        return f"{target.name} supports {', '.join(target.numerics)}, but this network is in {precision}."
    return (
        f"{target.name} has no peak rates for {precision}, so its latency cannot be estimated. Measure them with: "
        f"pocketcnn target calibrate {target.name} --out {target.name}.toml"
    )

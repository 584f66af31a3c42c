"""Bottlenecks: which layers are slower than the roofline bound of a target, and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pocketcnn.cost import count, fused_layers, roofline
from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph, Node
from pocketcnn.runtimes.layer_times import RUNS, LayerTime, layer_times
from pocketcnn.targets.estimate import numerics_of
from pocketcnn.targets.target import Target

SLOW_RATIO = 2.0
"""A layer counts as slow from this multiple of its roofline bound."""

MIN_SHARE = 0.3
"""One kind of operator explains a layer's time from this share of it."""

CALL_OVERHEAD = 10e-6
"""Below so many seconds, most of an operator's time is call overhead."""

_COPIES = frozenset(
    {"ReorderInput", "ReorderOutput", "Reorder", "Transpose", "Reshape", "Concat", "Split", "VariadicSplit", "Slice"}
    | {"StridedSlice", "Gather", "ShuffleChannels", "Pad"}
)
_CONVERSIONS = frozenset({"QuantizeLinear", "DequantizeLinear", "FakeQuantize", "Convert", "Subtract"})
_MOVES = MappingProxyType(
    {
        "channel_shuffle": "a channel shuffle copies all values",
        "concat": "a concatenation copies all values",
        "slice": "a split copies all values",
        "permute": "a permutation of axes copies all values",
        "gather": "gathering channels copies all values",
        "pad": "padding copies all values",
    }
)


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """A layer's measured time and its roofline bound, in seconds.

    Attributes:
        name, op, shape: of the layer's node.
        fused: layers that are computed together with it.
        seconds: measured.
        share: of the network's time, 0 to 1.
        bound: the lower bound at the target's rates, including fused layers.
        bound_by: ``compute`` or ``memory``.
        why: why it is slower than its bound; empty if it is not.
        operators: kinds of the runtime's operators.
    """

    name: str
    op: str
    shape: tuple[int, ...]
    fused: tuple[str, ...]
    seconds: float
    share: float
    bound: float
    bound_by: str
    why: str
    operators: tuple[str, ...]

    @property
    def times_bound(self) -> float:
        """The measured time as a multiple of the bound."""
        return self.seconds / self.bound if self.bound else float("inf")


@dataclass(frozen=True, slots=True)
class Bottlenecks:
    """All layers of a network that took time on a target, in the order of the graph."""

    target: str
    numerics: str
    seconds: float
    bound: float
    layers: tuple[Bottleneck, ...]


def bottlenecks(graph: Graph, target: Target, *, runs: int = RUNS) -> Bottlenecks:
    """Profile every layer of `graph` on `target` with its runtime's profiler, and compare it with the roofline.

    Args:
        graph: the deployed graph.
        target: a target that runs on this machine and has measured rates.
        runs: number of profiled runs.

    Raises:
        UsageError: the target is not on this machine, its runtime has no layer profiler, or it has no rates for the precision
            of the graph.
        MissingExtra: its runtime is not installed.
    """
    if target.runtime is None:
        raise UsageError(
            f"{target.name} is not on this machine, so its layers cannot be measured. `target check` estimates them."
        )
    precision = numerics_of(graph)
    if precision not in target.peak_madds or target.bandwidth is None:
        raise UsageError(
            f"{target.name} has no peak rates for {precision}. Measure them with: pocketcnn target calibrate {target.name}"
        )
    times = layer_times(graph, target.runtime, threads=target.thread_count, runs=runs)
    cost = count(times.graph)
    bounds = {
        bound.name: bound
        for bound in roofline(cost, target.peak_madds[precision], target.bandwidth, fused_layers(times.graph)).layers
    }
    layers = []
    for layer in times.layers:
        bound = bounds.get(layer.name)
        least, by = (bound.seconds, bound.bound_by) if bound is not None else (0.0, "memory")
        layers.append(
            Bottleneck(
                name=layer.name,
                op=layer.op,
                shape=times.graph[layer.name].shape,
                fused=layer.fused,
                seconds=layer.seconds,
                share=layer.seconds / times.seconds if times.seconds else 0.0,
                bound=least,
                bound_by=by,
                why=explanation(layer, times.graph, least, by, target.channel_multiple),
                operators=tuple(operator.kind for operator in layer.operators),
            )
        )
    return Bottlenecks(
        target.name, precision, times.seconds, sum(bound.seconds for bound in bounds.values()), tuple(layers)
    )


def explanation(layer: LayerTime, graph: Graph, bound: float, bound_by: str, channel_multiple: int) -> str:
    """Why a layer is slower than its bound, the most important reason; empty if it is not."""
    if layer.seconds < SLOW_RATIO * bound:
        return ""
    parts = _shares(layer)
    if layer.op in _MOVES:
        return _MOVES[layer.op]
    if (share := _share_of(parts, _COPIES)) >= MIN_SHARE:
        return f"{share:.0%} of the time changes the memory layout ({_names(parts, _COPIES)})"
    if (share := _share_of(parts, _CONVERSIONS)) >= MIN_SHARE:
        return f"{share:.0%} of the time converts between integers and float ({_names(parts, _CONVERSIONS)})"
    if slow := next((kind for kind in parts if " ref" in kind), None):
        return f"no vectorised kernel ({slow})"
    if odd := _odd_channels(graph, graph[layer.name], channel_multiple):
        return f"{odd} channels are not a multiple of {channel_multiple}: not fully vectorised"
    if layer.seconds < CALL_OVERHEAD:
        return "so small that call overhead dominates"
    if _is_depthwise(graph, graph[layer.name]):
        return "depthwise: few multiply-adds per loaded value"
    return "limited by memory bandwidth" if bound_by == "memory" else "below the peak rate"


def _shares(layer: LayerTime) -> Mapping[str, float]:
    """Share of the layer's time by kind of operator, largest first."""
    shares: dict[str, float] = {}
    for operator in sorted(layer.operators, key=lambda operator: -operator.seconds):
        shares[operator.kind] = shares.get(operator.kind, 0.0) + operator.seconds / max(layer.seconds, 1e-12)
    return shares


def _share_of(parts: Mapping[str, float], kinds: frozenset[str]) -> float:
    return sum(share for kind, share in parts.items() if kind.split(" ")[0] in kinds)


def _names(parts: Mapping[str, float], kinds: frozenset[str]) -> str:
    return ", ".join(kind.split(" ")[0] for kind in parts if kind.split(" ")[0] in kinds)


def _odd_channels(graph: Graph, node: Node, multiple: int) -> int | None:
    """An output or input channel count of a convolution that is not a multiple of `multiple`; the image's 3 channels are
    ignored.
    """
    if node.op != "conv2d":
        return None
    source = graph[node.inputs[0]]
    counts = [node.shape[0], *([source.shape[0]] if source.op != "input" else [])]
    return next((channels for channels in counts if channels % multiple), None)


def _is_depthwise(graph: Graph, node: Node) -> bool:
    return node.op == "conv2d" and node.integer("groups") == graph[node.inputs[0]].shape[0] > 1

"""Check a network against a target: layers that fall back, their cost, and the limits of the device."""

from dataclasses import asdict, dataclass
from typing import Any

from pocketcnn.cost import count
from pocketcnn.graph import Graph, Node, Shape, for_inference
from pocketcnn.targets.budget import device_limits
from pocketcnn.targets.capability import SlowOp
from pocketcnn.targets.estimate import Estimate, estimate_placed, has_rates, numerics_of
from pocketcnn.targets.matching import is_depthwise, window
from pocketcnn.targets.placement import Placement, Transfer, place
from pocketcnn.targets.quantities import Quantity
from pocketcnn.targets.target import Numerics, Target
from pocketcnn.targets.verdict import Figure, Verdict, judge


@dataclass(frozen=True)
class FallbackLayer:
    """A layer that the target does not support.

    Attributes:
        name, op, shape: of the layer's node.
        why: the target's description of such layers.
        madds: its multiply-adds.
        share: of the network's multiply-adds, 0 to 1.
        bytes_out, bytes_back: transferred to the fallback processor, and back.
        together_with: activations that are fused into it, and so fall back too.
        seconds: its part of the estimate, including transfers; None without an estimate.
    """

    name: str
    op: str
    shape: Shape
    why: str
    madds: int
    share: float
    bytes_out: int
    bytes_back: int
    together_with: tuple[str, ...]
    seconds: float | None


@dataclass(frozen=True)
class SlowLayer:
    """A layer that the target runs below its rates."""

    name: str
    op: str
    shape: Shape
    why: str
    factor: float


@dataclass(frozen=True)
class Check:
    """The result of `check`.

    Attributes:
        target: name of the target.
        numerics: the precision of the checked network.
        runs_numerics: whether the target supports it.
        fallback: the processor that runs the layers in `fallen`, if there is one.
        fallen: unsupported layers; slowed: layers below the target's rates.
        partitions: number of parts in which the device runs the other layers.
        transfers, transfer_bytes: values transferred because of it, and their bytes.
        limits: verdicts on RAM and storage, if the target limits them.
        estimate: lower bound on the latency, if the target has rates; not a measurement.
        odd_channels: convolutions whose channels are not a multiple of the target's `channel_multiple`.
    """

    target: str
    numerics: Numerics
    runs_numerics: bool
    fallback: str | None
    fallen: tuple[FallbackLayer, ...]
    slowed: tuple[SlowLayer, ...]
    partitions: int
    transfers: int
    transfer_bytes: int
    limits: tuple[Verdict, ...]
    estimate: Estimate | None
    odd_channels: tuple[str, ...]

    @property
    def within_limits(self) -> bool:
        """Whether RAM and storage suffice."""
        return all(verdict.kept for verdict in self.limits)

    @property
    def runs(self) -> bool:
        """Whether the network runs on the target: within its limits, in a supported precision, and with a processor for every
        layer.
        """
        return self.within_limits and self.runs_numerics and (not self.fallen or self.fallback is not None)

    @property
    def passes(self) -> bool:
        """Whether the network runs entirely on the device."""
        return self.runs and not self.fallen

    @property
    def fallen_share(self) -> float:
        """The share of the multiply-adds in layers that fall back."""
        return sum(layer.share for layer in self.fallen)

    def shortfalls(self, *, strict: bool = False) -> tuple[str, ...]:
        """Why the network does not run on the target; with `strict`, why not entirely."""
        found = [str(verdict) for verdict in self.limits if not verdict.kept]
        if not self.runs_numerics:
            found.append(f"the target does not support {self.numerics}")
        if self.fallen and self.fallback is None:
            found.append("no processor supports some of its layers")
        elif self.fallen and strict:
            found.append(f"{len(self.fallen)} layers fall back")
        return tuple(found)

    def as_dict(self) -> dict[str, Any]:
        """All results for JSON: bytes, seconds, and shares from 0 to 1."""
        return {
            **{name: value for name, value in asdict(self).items() if name not in ("estimate", "limits")},
            "runs": self.runs,
            "passes": self.passes,
            "fallen_share": self.fallen_share,
            "limits": [
                {
                    "limit": str(judged.limit),
                    "value": judged.figure.value,
                    "kept": judged.kept,
                    "how": judged.figure.how,
                }
                for judged in self.limits
            ],
            "estimated_seconds": self.estimate.seconds if self.estimate else None,
            "estimated_fallback_seconds": self.estimate.fallback_seconds if self.estimate else None,
        }


def check(graph: Graph, target: Target, size: int | None = None) -> Check:
    """Check `graph` against `target` in its own precision, with batch normalization folded as in deployment.

    Args:
        graph: float or quantized.
        target: the target.
        size: bytes of the deployed file; by default the bytes of the weights.

    Raises:
        UsageError: the target names an unknown operation.
    """
    folded = for_inference(graph)
    placement = place(folded, target)
    precision = numerics_of(folded)
    runnable = not placement.lacking or target.fallback is not None
    estimated = estimate_placed(placement, target) if runnable and has_rates(target, precision) else None
    crossings = placement.crossings
    return Check(
        target=target.name,
        numerics=precision,
        runs_numerics=precision in target.numerics,
        fallback=target.fallback.device if target.fallback else None,
        fallen=_fallen(placement, estimated),
        slowed=tuple(_slowed(folded[name], pattern) for name, pattern in placement.slow.items()),
        partitions=placement.partitions,
        transfers=len(crossings),
        transfer_bytes=sum(crossing.size for crossing in crossings),
        limits=device_verdicts(folded, target, size),
        estimate=estimated,
        odd_channels=_odd_channels(folded, target.channel_multiple),
    )


def device_verdicts(graph: Graph, target: Target, size: int | None = None) -> tuple[Verdict, ...]:
    """Whether a folded graph meets the limits of the device; `size` as in `check`."""
    cost = count(graph)
    held = Figure.counted(cost.weight_bytes, "bytes of the weights") if size is None else None
    figures = {
        Quantity.RAM: Figure.counted(cost.peak_activation_bytes, Quantity.RAM.row.how),
        Quantity.SIZE: held or Figure.counted(size or 0, "bytes of the file"),
    }
    return tuple(judge(limit, figures[limit.quantity]) for limit in device_limits(target))


def _fallen(placement: Placement, estimated: Estimate | None) -> tuple[FallbackLayer, ...]:
    graph = placement.graph
    madds = {node.name: graph.madds(node) for node in graph.nodes if node.op != "input"}
    total = sum(madds.values()) or 1
    seconds = {layer.name: layer.seconds for layer in estimated.layers} if estimated else {}
    return tuple(
        FallbackLayer(
            name=name,
            op=describe_op(graph, graph[name]),
            shape=graph[name].shape,
            why=pattern.why or f"no {pattern.op}",
            madds=madds[name],
            share=madds[name] / total,
            bytes_out=_transferred(placement.crossings, name, out=True),
            bytes_back=_transferred(placement.crossings, name, out=False),
            together_with=tuple(follower for follower, leader in placement.follows.items() if leader == name),
            seconds=seconds.get(name),
        )
        for name, pattern in placement.lacking.items()
    )


def _transferred(crossings: tuple[Transfer, ...], layer: str, *, out: bool) -> int:
    return sum(crossing.size for crossing in crossings if crossing.layer == layer and crossing.out == out)


def _slowed(node: Node, pattern: SlowOp) -> SlowLayer:
    return SlowLayer(node.name, node.op, node.shape, pattern.why, pattern.factor)


def _odd_channels(graph: Graph, multiple: int) -> tuple[str, ...]:
    return tuple(node.name for node in graph.nodes if node.op == "conv2d" and node.shape[0] % multiple)


def describe_op(graph: Graph, node: Node) -> str:
    """An operation in words, such as ``conv2d 5x5 depthwise`` or ``hardswish``."""
    kernel = window(graph, node)
    words = [node.op]
    if kernel is not None:
        words.append(f"{kernel[0]}x{kernel[1]}")
    if is_depthwise(graph, node):
        words.append("depthwise")
    return " ".join(words)

"""`calibrate`: measures the peak rate and the memory bandwidth of a target that runs on this machine.

The peak rate is that of large convolutions. The bandwidth is that of reading a tensor larger than the caches, or of an
element-wise operation on it, whichever is higher: some runtimes have slow reductions, others allocate their outputs in every
call. The roofline from these rates is a bound for this runtime, not for the processor.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from pocketcnn.callbacks import no_op
from pocketcnn.compression.deployed import artefact_bytes, in_precision
from pocketcnn.compression.latency import opened
from pocketcnn.cost import count
from pocketcnn.cost.liveness import FLOAT_BYTES
from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.graph import Graph, Node
from pocketcnn.graph.node import Attr
from pocketcnn.pipeline.workspace import Say
from pocketcnn.runtimes import Latency, StopRule, get_runtime, measure
from pocketcnn.targets import Target
from pocketcnn.targets.capability import Calibration
from pocketcnn.targets.measuring import example_batch, runtime_of
from pocketcnn.targets.target import Numerics

LAYERS = 3
"""Convolutions in sequence, so that the transfer of input and output is negligible."""

SHAPES = ((3, 128, 28), (1, 384, 28))
"""(kernel, channels, side) of the convolutions. The higher of the two rates is used."""

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
LEAST_BYTES, MOST_BYTES = 64 * 2**20, 128 * 2**20
BEYOND = 4
"""Size of the tensor for the bandwidth, in multiples of the last-level cache."""

SIDE = 256


QUICK = StopRule(max_seconds=1.0)
"""Stop rule for rates that are not saved."""


def with_rates(target: Target, say: Say = no_op) -> Target:
    """The target with its rates. They are measured briefly if it has none and runs on this machine."""
    if target.runtime is None or (target.peak_madds and target.bandwidth is not None):
        return target
    say(f"Measuring the rates of {target.name} (to save them: pocketcnn target calibrate {target.name}) …")
    return calibrate(target, QUICK)


@dataclass(frozen=True)
class Rate:
    """A rate per second, from the median time (`value`), the 90th (`low`) and the 10th percentile (`high`) of the times."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, amount: float, latency: Latency) -> "Rate":
        """The rate of `amount` units in each call."""
        return cls(*(_three_digits(amount / seconds) for seconds in (latency.median, latency.p90, latency.p10)))


def _three_digits(value: float) -> float:
    """`value` rounded to three significant digits, the precision of the measurement."""
    return float(f"{value:.3g}")


def calibrate(target: Target, rule: StopRule | None = None) -> Target:
    """Measure `peak_madds` (multiply-adds/s) and `bandwidth` (bytes/s) of `target` on this machine; return it with them.

    Raises:
        UsageError: the target has no runtime on this machine.
        PocketcnnError: its runtime is not installed.
    """
    runtime = get_runtime(runtime_of(target))
    absent = runtime.available()
    if absent is not None:
        raise PocketcnnError(f"The runtime {runtime.name} cannot be used here: {absent}")
    precisions: list[Numerics] = [precision for precision in target.numerics if precision in runtime.numerics]
    if not precisions:
        raise UsageError(f"{runtime.name} supports {', '.join(runtime.numerics)}, and {target.name} none of them.")
    timing = rule or StopRule()
    rates: dict[str, Rate] = {precision: peak_rate(target, precision, timing) for precision in precisions}
    bandwidth, latency = _bandwidth(target, timing)
    session, machine = latency.session, latency.machine
    calibration = Calibration(
        cpu=machine.cpu,
        flags=machine.flags,
        cores=machine.cores,
        system=machine.system,
        architecture=machine.architecture,
        runtime=f"{session.runtime} {session.version}",
        threads=session.threads,
        spread={name: (rate.low, rate.high) for name, rate in {**rates, "bandwidth": bandwidth}.items()},
    )
    found = {
        "peak_madds": {precision: rates[precision].value for precision in precisions},
        "bandwidth": bandwidth.value,
        "calibration": calibration,
    }
    return target.model_copy(update=found)


def peak_rate(target: Target, precision: Numerics, rule: StopRule) -> Rate:
    """Multiply-adds per second of the faster of `SHAPES`, in `precision`."""
    rates = []
    for kernel, channels, side in SHAPES:
        graph = in_precision(convolutions(kernel, channels, side), precision)
        rates.append(Rate.of(count(graph).madds, _timed(graph, target, rule)))
    return max(rates, key=lambda rate: rate.value)


def _bandwidth(target: Target, rule: StopRule) -> tuple[Rate, Latency]:
    size = min(max(BEYOND * last_level_cache(), LEAST_BYTES), MOST_BYTES)
    found = []
    for graph, moved in (reads(size), passes(size)):
        latency = _timed(graph, target, rule)
        found.append((Rate.of(moved, latency), latency))
    return max(found, key=lambda pair: pair[0].value)


def _timed(graph: Graph, target: Target, rule: StopRule) -> Latency:
    with opened(graph, artefact_bytes(graph), target) as session:
        return measure(session, example_batch(session), rule=rule)


def convolutions(kernel: int, channels: int, side: int) -> Graph:
    """`LAYERS` convolutions with ReLU on feature maps (channels, side, side), then global average pooling (channels,)."""
    generator = torch.Generator().manual_seed(0)
    shape = (channels, side, side)
    attrs: dict[str, Attr] = {"stride": (1, 1), "padding": (kernel // 2,) * 2, "dilation": (1, 1), "groups": 1}
    nodes, tensors = [Node("input", "input", (), shape)], {}
    for number in range(LAYERS):
        name = f"conv{number}"
        weight = torch.randn(channels, channels, kernel, kernel, generator=generator)
        tensors[f"{name}.weight"] = weight / (channels * kernel * kernel / 2) ** 0.5
        nodes.append(Node(name, "conv2d", (nodes[-1].name,), shape, attrs, {"weight": f"{name}.weight"}))
        nodes.append(Node(f"relu{number}", "relu", (name,), shape))
    nodes += _means(nodes[-1].name, channels)
    return Graph(tuple(nodes), nodes[-1].name, tensors).rebuilt()


def reads(size: int) -> tuple[Graph, int]:
    """A network that reads an input of about `size` bytes and returns channel means; and the bytes that it moves."""
    channels = max(1, size // (SIDE * SIDE * FLOAT_BYTES))
    nodes = (Node("input", "input", (), (channels, SIDE, SIDE)), *_means("input", channels))
    return Graph(nodes, nodes[-1].name, {}).rebuilt(), channels * SIDE * SIDE * FLOAT_BYTES


def passes(size: int) -> tuple[Graph, int]:
    """A network that reads an input of about `size` bytes and writes its double; and the bytes that it moves.

    The output is the mean of one channel, so that the transfer of the output is negligible.
    """
    channels = max(1, size // (SIDE * SIDE * FLOAT_BYTES))
    nodes = (
        Node("input", "input", (), (channels, SIDE, SIDE)),
        Node("twice", "add", ("input", "input"), (channels, SIDE, SIDE)),
        Node("first", "slice", ("twice",), (1, SIDE, SIDE), {"axis": 0, "start": 0, "stop": 1, "step": 1}),
        *_means("first", 1),
    )
    return Graph(nodes, nodes[-1].name, {}).rebuilt(), 2 * channels * SIDE * SIDE * FLOAT_BYTES


def _means(value: str, channels: int) -> list[Node]:
    return [
        Node("mean", "mean", (value,), (channels, 1, 1), {"axes": (1, 2), "keepdim": True}),
        Node("answer", "reshape", ("mean",), (channels,), {"shape": (channels,)}),
    ]


def last_level_cache(folder: Path = CACHES) -> int:
    """Size of the largest cache of the first core in bytes; 32 MiB if the system does not report it."""
    found = [_size(path.read_text()) for path in folder.glob("index*/size")]
    return max(found, default=32 * 2**20)


def _size(text: str) -> int:
    digits = text.strip().rstrip("KMG")
    factor = {"K": 2**10, "M": 2**20, "G": 2**30}.get(text.strip()[-1:], 1)
    return int(digits) * factor if digits.isdecimal() else 0

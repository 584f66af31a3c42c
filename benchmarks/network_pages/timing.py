"""Latency of the zoo on ONNX Runtime, float32 beside int8, as records that JSON can hold."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.network_pages.nominal import build, shape
from pocketcnn.compression.quantization import quantize
from pocketcnn.formats.onnx.writer import to_onnx
from pocketcnn.graph import GraphNetwork, capture, for_inference
from pocketcnn.models.published import Published
from pocketcnn.runtimes import Comparison, Latency, StopRule, compare, get_runtime, this_machine

RUNTIME = "onnxruntime"
FORMS = ("float32", "int8")
CALIBRATION_IMAGES = 2
NOTE = (
    "Random weights; batch norms adjusted to, and int8 calibrated on, random images: the times are those of the network, "
    "its answers mean nothing. One image a call, one thread; float32 and int8 in turns."
)


def measured(rows: Sequence[Published], rule: StopRule, say: Callable[[str], None]) -> dict[str, Any]:
    """Latency of the network of each row, float32 and int8, with the circumstances; times in seconds."""
    networks = {}
    for number, row in enumerate(rows, 1):
        networks[row.network] = record = timed(row, rule)
        times = ", ".join(f"{form} {1e3 * record[form]['median']:.2f} ms" for form in FORMS)
        say(f"{number}/{len(rows)} {row.network}: {times}")
    session = next(iter(networks.values()))["session"] if networks else {}
    return {
        "note": NOTE,
        "machine": asdict(this_machine()),
        "session": session,
        "rule": asdict(rule),
        "networks": {name: without(record, "session") for name, record in sorted(networks.items())},
    }


def timed(row: Published, rule: StopRule) -> dict[str, Any]:
    """One network's record: both latencies, their ratio with its interval, and the bytes of both files."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(CALIBRATION_IMAGES, *shape(row), generator=generator)
    files = onnx_files(row, images)
    engine = get_runtime(RUNTIME)
    example = images[:1].numpy().astype(np.float32)
    with closing(engine.build(files[0], threads=1)) as floats, closing(engine.build(files[1], threads=1)) as integers:
        comparison = compare([floats, integers], [example, example], rule=rule)
    return {
        "input": list(shape(row)),
        **{form: figures(latency) for form, latency in zip(FORMS, comparison.latencies, strict=True)},
        **ratio(comparison),
        "bytes": dict(zip(FORMS, map(len, files), strict=True)),
        "session": asdict(comparison.latencies[0].session),
    }


def onnx_files(row: Published, images: Tensor) -> tuple[bytes, bytes]:
    """The network of the row as float32 and as int8 ONNX."""
    torch.manual_seed(0)
    network = build(row)
    adjust_batch_norm(network, images)
    captured = GraphNetwork(capture(network, (1, *shape(row))))
    integers = quantize(captured, images, method="minmax")
    return (
        to_onnx(for_inference(captured.graph)).SerializeToString(),
        to_onnx(integers.graph).SerializeToString(),
    )


@torch.no_grad()
def adjust_batch_norm(network: nn.Module, images: Tensor) -> None:
    """Let every batch norm see `images` once: without it the values of a deep network with random weights fade into
    numbers so small (subnormal) that a CPU computes many times more slowly with them."""
    with _seeing_once(network):
        network(images)


@contextmanager
def _seeing_once(network: nn.Module) -> Iterator[None]:
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    yield
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def figures(latency: Latency) -> dict[str, Any]:
    """What a latency says for JSON, rounded to five digits; seconds."""
    kept = {"median": latency.median, "p10": latency.p10, "p90": latency.p90}
    return {
        **{key: digits(value) for key, value in kept.items()},
        "interval": [digits(value) for value in latency.interval],
        "repeats": latency.repeats,
        "converged": latency.converged,
    }


def ratio(comparison: Comparison) -> dict[str, Any]:
    """How long int8 takes for each second of float32, with the 95 % interval."""
    return {"ratio": digits(comparison.ratios[1]), "ratio_interval": [digits(end) for end in comparison.intervals[1]]}


def digits(value: float) -> float:
    return float(f"{value:.5g}")


def without(record: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != key}

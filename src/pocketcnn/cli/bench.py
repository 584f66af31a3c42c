"""`pocketcnn bench`: how long networks take, side by side."""

from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketcnn.cli.options import Json
from pocketcnn.cli.output import Output
from pocketcnn.cli.sources import MODEL, ONNX, kind_of, load_network
from pocketcnn.errors import UsageError

if TYPE_CHECKING:
    from pocketcnn.runtimes import Comparison, Latency, Runtime


@dataclass(frozen=True)
class Entry:
    """One line of the comparison."""

    file: Path
    threads: int


def bench(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Model files (.safetensors) or ONNX files.")],
    runtime: Annotated[str, typer.Option(help="What runs the networks: onnxruntime or torch.")] = "onnxruntime",
    threads: Annotated[str, typer.Option(help="Numbers of threads to try: 1, or 1,2.")] = "1",
    batch: Annotated[int, typer.Option(min=1, help="Images in one call.")] = 1,
    seconds: Annotated[float, typer.Option(min=0.01, help="The longest time to measure each.")] = 3.0,
    as_json: Json = False,
) -> None:
    """Time networks side by side.

    They take turns, so that whatever else the machine does hits all alike. A model file runs on onnxruntime as
    `pocketcnn export` would write it. The ratio is to the first line, with its 95 % interval.

    \b
    Example:
      pocketcnn bench trained/model.safetensors fitted/model.onnx --threads 1,2
    """
    from pocketcnn.runtimes import get_runtime

    engine = get_runtime(runtime)
    entries = [Entry(file, count) for count in parse_threads(threads) for file in files]
    for file in files:
        kind_of(file, *((MODEL,) if engine.name == "torch" else (MODEL, ONNX)))
    comparison = compared(entries, engine, batch, seconds)
    output = Output(as_json)
    output.json(_document(entries, comparison))
    _print(output, entries, comparison)


def parse_threads(text: str) -> list[int]:
    """The numbers of ``1,2``.

    Raises:
        UsageError: something else stands there.
    """
    parts = text.split(",")
    if not all(part.strip().isdecimal() and 1 <= int(part) <= 1024 for part in parts):
        raise UsageError(f"--threads takes numbers from 1 to 1024 with commas between them, such as 1,2; not '{text}'.")
    return list(dict.fromkeys(int(part) for part in parts))


def compared(entries: list[Entry], engine: "Runtime", batch: int, seconds: float) -> "Comparison":
    """All entries timed in turns on random images.

    Raises:
        PocketcnnError: a file is damaged, or the runtime cannot run it.
    """
    from pocketcnn.runtimes import StopRule, compare
    from pocketcnn.targets.measuring import example_batch

    artefacts = {entry.file: _artefact(entry.file, engine.name) for entry in entries}
    rule = StopRule(max_seconds=seconds, min_seconds=min(seconds, StopRule().min_seconds))
    with ExitStack() as stack:
        sessions = [
            stack.enter_context(closing(engine.build(artefacts[entry.file], threads=entry.threads)))
            for entry in entries
        ]
        shapes = [session.input_shape or () for session in sessions]
        examples = [
            example_batch(session, (batch, *(axis or 0 for axis in shape[1:])))
            for session, shape in zip(sessions, shapes, strict=True)
        ]
        return compare(sessions, examples, rule=rule)


def _artefact(file: Path, runtime: str) -> object:
    """What `runtime` takes: a module for torch, ONNX bytes or a path for onnxruntime."""
    if kind_of(file, MODEL, ONNX) == ONNX:
        return file
    network = load_network(file)
    if runtime == "torch":
        return network
    from pocketcnn.graph.onnx_writer import to_onnx

    return to_onnx(network.graph).SerializeToString()


def _document(entries: list[Entry], comparison: "Comparison") -> dict[str, Any]:
    """The comparison for JSON; times in seconds."""
    return {
        "entries": [
            {
                "file": entry.file,
                "threads": entry.threads,
                "ratio": ratio,
                "ratio_interval": interval,
                "latency": latency,
            }
            for entry, latency, ratio, interval in zip(
                entries, comparison.latencies, comparison.ratios, comparison.intervals, strict=True
            )
        ]
    }


def _print(output: Output, entries: list[Entry], comparison: "Comparison") -> None:
    headings = ("file", ">threads", ">median", ">10th percentile", ">90th percentile", ">ratio", ">95 % interval")
    rows = [
        (entry.file, entry.threads, *_times(latency), f"{ratio:.3f}", f"{low:.3f} to {high:.3f}")
        for entry, latency, ratio, (low, high) in zip(
            entries, comparison.latencies, comparison.ratios, comparison.intervals, strict=True
        )
    ]
    output.table(headings, rows)
    first = comparison.latencies[0]
    images = "one image" if first.shape[0] == 1 else f"{first.shape[0]} images"
    output.print(f"\n{first.session.runtime} {first.session.version}, {images} a call, {first.machine.cpu}")
    for entry, latency in zip(entries, comparison.latencies, strict=True):
        if not latency.converged:
            output.say(f"{entry.file}: the time was up before the median was known to 3 %; give it more --seconds.")


def _times(latency: "Latency") -> tuple[str, str, str]:
    from pocketcnn.targets.units import format_seconds

    return format_seconds(latency.median), format_seconds(latency.p10), format_seconds(latency.p90)

"""The results of `bench` as the cells of a table and as one offline HTML page."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from pocketcnn.files import write_text
from pocketcnn.report import numbers
from pocketcnn.report.html import environment
from pocketcnn.runtimes.machine import Machine
from pocketcnn.runtimes.side_by_side import BenchmarkRow

NONE = "\u2013"


def write_bench_page(lines: Sequence[BenchmarkRow], notes: Sequence[str], machine: Machine, path: Path) -> None:
    """Write the comparison to `path`.

    Raises:
        PocketcnnError: the file cannot be written.
    """
    write_text(path, render_bench_page(lines, notes, machine))


def render_bench_page(lines: Sequence[BenchmarkRow], notes: Sequence[str], machine: Machine) -> str:
    """The comparison as HTML text: one table for each network, with the rows in their order."""
    by_file = sorted(lines, key=lambda line: [each.file for each in lines].index(line.file))
    groups = [(file, list(group)) for file, group in groupby(by_file, key=lambda line: line.file)]
    timed = [line.latency for line in lines if line.latency]
    return (
        environment()
        .get_template("bench.html")
        .render(
            groups=[
                (file, group, max((line.latency.p90 for line in group if line.latency), default=0.0))
                for file, group in groups
            ],
            notes=notes,
            machine=machine,
            batch=max((line.batch for line in lines), default=1),
            launches=max((line.cold_start.launches for line in lines if line.cold_start), default=0),
            images=max((line.parity.images for line in lines if line.parity), default=0),
            sessions={latency.session.runtime: latency.session for latency in timed},
            first=next((line for line in lines if line.latency), None),
        )
    )


def cells(line: BenchmarkRow) -> tuple[str, ...]:
    """Median, p10 to p90, ratio and its interval, images/s, cold start, memory, import part, size, agreement, error."""
    return (*_timing(line), *_start(line), NONE if line.bytes is None else numbers.size(line.bytes), *_agreement(line))


def _timing(line: BenchmarkRow) -> tuple[str, ...]:
    latency = line.latency
    if latency is None or line.ratio is None or line.ratio_interval is None or line.images_per_second is None:
        return (NONE,) * 5
    low, high = line.ratio_interval
    return (
        numbers.time(latency.median),
        numbers.span(latency.p10, latency.p90, numbers.time),
        f"{line.ratio:.3f}",
        f"{low:.3f} to {high:.3f}",
        numbers.amount(line.images_per_second),
    )


def _start(line: BenchmarkRow) -> tuple[str, ...]:
    start = line.cold_start
    if start is None:
        return (NONE,) * 3
    seconds = f"{numbers.time(start.median)} ({numbers.span(start.shortest, start.longest, numbers.time)})"
    if start.peak_bytes is None or start.import_bytes is None:
        return (seconds, NONE, NONE)
    return (seconds, numbers.size(start.peak_bytes), numbers.percent(start.import_bytes / start.peak_bytes))


def _agreement(line: BenchmarkRow) -> tuple[str, ...]:
    found = line.parity
    return (NONE, NONE) if found is None else (numbers.accuracy(found.agreement), f"{found.worst_error:.2g}")

"""The latency table of a target: measurements, with the machine and runtime on which they were made.

A small JSON file with one measurement per line. It is valid for one machine, one version of one runtime and one number of
threads. The table stores these conditions, and `LatencyTable.check` compares them.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pocketcnn.documents import read_record
from pocketcnn.errors import UsageError
from pocketcnn.files import write_text
from pocketcnn.runtimes.base import Numerics
from pocketcnn.runtimes.machine import Machine

FORMAT = 1
ADVICE = "Remove it, and measure again with: pocketcnn target profile."
DIGITS = 4
MAX_POINTS = 4000
"""Keeps the file below 600 kB."""

REFERENCE_WINDOW = 240
"""Measurements (about half a minute) over which the median reference time estimates the machine's speed.

The clock of a machine drifts slowly. A shorter window would mistake a disturbed reference for drift."""


DEVIATIONS = 2.563
"""Standard deviations of a normal distribution between its 10th and 90th percentile."""


@dataclass(frozen=True, slots=True)
class BlockLatency:
    """One measurement of `blocks` (see `targets.latency.block_text`) in one precision.

    Attributes:
        median, p10, p90: over `repeats` calls, in seconds.
        repeats: number of calls; 0 if the runtime could not run the blocks.
        reference: latency of the table's reference network at that moment, in seconds.
    """

    blocks: str
    numerics: Numerics
    median: float
    p10: float
    p90: float
    repeats: int
    reference: float

    @property
    def ran(self) -> bool:
        return self.repeats > 0


@dataclass(frozen=True)
class Conditions:
    """The conditions on which the latencies of a table depend."""

    runtime: str
    version: str
    threads: int
    machine: Machine
    settings: Mapping[str, str] = field(default_factory=dict)

    def differences(self, other: "Conditions") -> list[str]:
        """The differences in words: ``the runtime onnxruntime 1.32.0, not 1.31.0``."""
        pairs = {
            "the runtime": (f"{self.runtime} {self.version}", f"{other.runtime} {other.version}"),
            "the threads": (self.threads, other.threads),
            "the settings": (dict(self.settings), dict(other.settings)),
            **{name: (value, asdict(other.machine)[name]) for name, value in asdict(self.machine).items()},
        }
        return [f"{name} {mine}, not {theirs}" for name, (mine, theirs) in pairs.items() if mine != theirs]


@dataclass(frozen=True)
class LatencyTable:
    """Measurements of one target.

    Attributes:
        conditions: machine, runtime and threads.
        seed: of the sampled networks; with the number of points it says where profiling continues.
        seconds: total time of the measurements.
        points: the measurements.
    """

    target: str
    conditions: Conditions
    seed: int = 0
    seconds: float = 0.0
    points: tuple[BlockLatency, ...] = ()

    @property
    def numerics(self) -> tuple[Numerics, ...]:
        """The precisions with measurements."""
        found = dict.fromkeys(point.numerics for point in self.points if point.ran)
        return tuple(found)

    def summary(self) -> dict[str, Any]:
        """A summary for display and JSON."""
        ran = [point for point in self.points if point.ran]
        spreads = sorted((point.p90 - point.p10) / point.median for point in ran) or [0.0]
        here = self.conditions
        return {
            "target": self.target,
            "runtime": f"{here.runtime} {here.version}",
            "threads": here.threads,
            "cpu": here.machine.cpu,
            "seconds": round(self.seconds, 1),
            **{f"{precision} blocks": sum(point.numerics == precision for point in ran) for precision in self.numerics},
            "not run": len(self.points) - len(ran),
            "median spread (p90-p10)": f"{spreads[len(spreads) // 2]:.1%}",
        }

    def extended(self, points: Iterable[BlockLatency], seconds: float) -> "LatencyTable":
        """A table with more points, whose measurement took `seconds`."""
        return replace(self, points=(*self.points, *points), seconds=self.seconds + seconds)

    def check(self, here: Conditions) -> None:
        """Check that the table was measured under the conditions `here`.

        Raises:
            UsageError: it was not; the message names the differences.
        """
        if differences := self.conditions.differences(here):
            raise UsageError(
                f"The latency table of {self.target} was measured with {'; '.join(differences)}. It is not valid for this "
                f"machine. Measure again with: pocketcnn target profile {self.target} --fresh. Or use it anyway with --force."
            )

    def steady(self, numerics: Numerics) -> list[tuple[str, float]]:
        """(blocks, seconds) in the precision `numerics`, corrected for drift of the machine's speed.

        The seconds are the geometric mean of the 10th percentile and the median of the calls. Other processes only add time, and
        for longer than the calls of one block take, so about every tenth median would be too high. On a machine that is never
        quiet the 10th percentile is too low: no network as a whole is so lucky in all of its layers. On a quiet one they are
        the same.
        """
        points = [point for point in self.points if point.ran]
        references = np.array([point.reference for point in points])
        usual = float(np.median(references)) if points else 0.0
        half = REFERENCE_WINDOW // 2
        then = [float(np.median(references[max(0, at - half) : at + half + 1])) for at in range(len(points))]
        return [
            (point.blocks, math.sqrt(point.p10 * point.median) * usual / reference)
            for point, reference in zip(points, then, strict=True)
            if point.numerics == numerics
        ]

    def spread(self, numerics: Numerics) -> float:
        """The standard deviation of the logarithm of a call's time in the precision `numerics`: the median of the blocks."""
        found = [
            math.log(point.p90 / point.p10) / DEVIATIONS
            for point in self.points
            if point.ran and point.numerics == numerics
        ]
        return float(np.median(found)) if found else 0.0

    def save(self, path: Path) -> None:
        """Write the table to `path`, atomically.

        Raises:
            PocketcnnError: the disk is full or the folder is not writable.
        """
        head = {
            "format": FORMAT,
            "target": self.target,
            "circumstances": asdict(self.conditions),
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "columns": ["blocks", "numerics", "median_us", "p10_us", "p90_us", "repeats", "reference_us"],
        }
        text = json.dumps(head, indent=1).removesuffix("\n}")
        rows = ",\n".join(json.dumps(_row(point), separators=(",", ":")) for point in self.points)
        write_text(path, f'{text},\n "points": [\n{rows}\n]}}\n')

    @classmethod
    def load(cls, path: Path) -> "LatencyTable":
        """Load the table in a file.

        Raises:
            UsageError: there is no such file, or it is not a latency table of this version.
        """
        return _table(read_record(path, "latency table", _Document, advice=ADVICE))


def _row(point: BlockLatency) -> list[object]:
    times = (_digits(seconds * 1e6) for seconds in (point.median, point.p10, point.p90))
    return [point.blocks, point.numerics, *times, point.repeats, _digits(point.reference * 1e6)]


def _digits(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


@dataclass(frozen=True)
class _Document:
    """A latency table as its file has it. `points` are rows in the order of `columns`, with microseconds."""

    format: int
    target: str
    circumstances: Conditions
    points: tuple[tuple[str, Numerics, float, float, float, int, float], ...]
    seed: int = 0
    seconds: float = 0.0
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(f"format {self.format}, this version reads {FORMAT}")
        if len(self.points) > MAX_POINTS:
            raise ValueError(f"it has {len(self.points):,} measurements, and the most are {MAX_POINTS:,}")
        for blocks, _, *times, repeats, reference in self.points:
            ran = repeats > 0 and reference > 0 and min(times) > 0 and times[1] <= times[2]
            failed = (
                repeats == 0 and reference >= 0
            )  # of the first block, the runtime may crash before the reference runs
            if not (ran or failed):
                raise ValueError(f"the times of {blocks!r:.80} are no times")


def _table(document: _Document) -> LatencyTable:
    points = tuple(
        BlockLatency(blocks, precision, median / 1e6, p10 / 1e6, p90 / 1e6, repeats, reference / 1e6)
        for blocks, precision, median, p10, p90, repeats, reference in document.points
    )
    return LatencyTable(document.target, document.circumstances, document.seed, document.seconds, points)


def default_path(target: str) -> Path:
    """The default file of a target's table: ``pocketcnn/latency/TARGET.json`` in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "pocketcnn" / "latency" / f"{target}.json"


def load_table(target: str, path: Path | None = None) -> LatencyTable:
    """The table of a target, from `path` or from its default file.

    Raises:
        UsageError: there is no table, or the file is not a latency table.
    """
    path = path or default_path(target)
    if not path.is_file():
        raise UsageError(
            f"There is no latency table of {target} ({path}). Create one with: pocketcnn target profile {target}"
        )
    return LatencyTable.load(path)

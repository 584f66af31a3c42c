"""The latency table of a target: what was measured, on which machine, under which runtime.

A small JSON file with one measurement a line. Times on it are true for one machine, one version of one runtime and one
number of threads; the table says which, and whoever uses it elsewhere is conditions so (`LatencyTable.check`).
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from pocketcnn.errors import UsageError
from pocketcnn.files import write_text
from pocketcnn.runtimes.base import Numerics
from pocketcnn.runtimes.machine import Machine

FORMAT = 1
DIGITS = 4
MAX_POINTS = 4000
"""Keeps the file below 600 kB."""

REFERENCE_WINDOW = 240
"""Measurements around one, some half minute, whose references' median says how fast the machine was then.

A machine's clock drifts slowly. A shorter time would take for drift what disturbed the reference alone.
"""


@dataclass(frozen=True, slots=True)
class BlockLatency:
    """One measurement: `blocks` (see `targets.latency.block_text`) in some numerics.

    `median`, `p10`, `p90` are of `repeats` calls, in seconds; `reference` is the time of the table's reference network
    at that moment. A point that the runtime could not run has no repeats.
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
    """What the times of a table depend on beside the network."""

    runtime: str
    version: str
    threads: int
    machine: Machine
    settings: Mapping[str, str] = field(default_factory=dict)

    def differences(self, other: "Conditions") -> list[str]:
        """What differs, in words for people: ``the runtime onnxruntime 1.32.0, not 1.31.0``."""
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

    `seconds` is the time that measuring them took; `seed` and the number of points say where profiling goes on.
    """

    target: str
    conditions: Conditions
    seed: int = 0
    seconds: float = 0.0
    points: tuple[BlockLatency, ...] = ()

    @property
    def numerics(self) -> tuple[Numerics, ...]:
        """The forms of a network of which there are measurements."""
        found = dict.fromkeys(point.numerics for point in self.points if point.ran)
        return tuple(found)

    def summary(self) -> dict[str, Any]:
        """What was measured, for people and for JSON."""
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
        """With more points, that took so many seconds."""
        return replace(self, points=(*self.points, *points), seconds=self.seconds + seconds)

    def check(self, here: Conditions) -> None:
        """The table must have been measured under the circumstances `here`.

        Raises:
            UsageError: it was not; the message names what differs.
        """
        if differences := self.conditions.differences(here):
            raise UsageError(
                f"The latency table of {self.target} was measured with {'; '.join(differences)}. Its times are not those "
                f"of this machine. Measure anew: pocketcnn target profile {self.target} --fresh, or use it as it is: --force."
            )

    def steady(self, numerics: Numerics) -> list[tuple[str, float]]:
        """(blocks, seconds) of what ran in `numerics`, as if the machine had been as fast as at its median all the time.

        The seconds are the 10th percentile of the calls. What else goes on in a machine only ever adds to a call, for longer
        than the turns of a block last, so that their median is late for every tenth block or so.
        """
        points = [point for point in self.points if point.ran]
        references = np.array([point.reference for point in points])
        usual = float(np.median(references)) if points else 0.0
        half = REFERENCE_WINDOW // 2
        then = [float(np.median(references[max(0, at - half) : at + half + 1])) for at in range(len(points))]
        return [
            (point.blocks, point.p10 * usual / reference)
            for point, reference in zip(points, then, strict=True)
            if point.numerics == numerics
        ]

    def save(self, path: Path) -> None:
        """Write the table to `path`, whole or not at all.

        Raises:
            PocketcnnError: the disk is full or the folder cannot be written to.
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
        """The table in a file.

        Raises:
            UsageError: there is no such file, or it is no latency table of this version.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"Cannot read the latency table {path}: {error.strerror}.") from error
        except ValueError as error:
            raise UsageError(f"{path} is not a latency table: {error}.") from error
        try:
            return _parsed(document)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UsageError(f"{path} is not a latency table: {error!r}.") from error


def _row(point: BlockLatency) -> list[object]:
    times = (_digits(seconds * 1e6) for seconds in (point.median, point.p10, point.p90))
    return [point.blocks, point.numerics, *times, point.repeats, _digits(point.reference * 1e6)]


def _digits(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _parsed(document: Any) -> LatencyTable:
    if document["format"] != FORMAT:
        raise ValueError(f"format {document['format']}, this version reads {FORMAT}")
    conditions = document["circumstances"]
    machine = Machine(**{**conditions["machine"], "flags": tuple(conditions["machine"]["flags"])})
    points = tuple(
        BlockLatency(str(blocks), precision, median / 1e6, p10 / 1e6, p90 / 1e6, int(repeats), reference / 1e6)
        for blocks, precision, median, p10, p90, repeats, reference in document["points"]
    )
    return LatencyTable(
        target=str(document["target"]),
        conditions=Conditions(**{**conditions, "machine": machine}),
        seed=int(document["seed"]),
        seconds=float(document["seconds"]),
        points=points,
    )


def default_path(target: str) -> Path:
    """Where the table of a target is kept: ``pocketcnn/latency/TARGET.json`` in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "pocketcnn" / "latency" / f"{target}.json"


def load_table(target: str, path: Path | None = None) -> LatencyTable:
    """The table of a target, from `path` or from where it is kept.

    Raises:
        UsageError: there is none yet, or the file is no latency table.
    """
    path = path or default_path(target)
    if not path.is_file():
        raise UsageError(
            f"There is no latency table of {target} yet ({path}). Measure one: pocketcnn target profile {target}"
        )
    return LatencyTable.load(path)

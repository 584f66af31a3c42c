"""From the start of a process to its first prediction, and the memory that this takes."""

import json
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pocketcnn.errors import PocketcnnError

TIMEOUT = (
    300.0  # seconds; a cold start takes some tenths, but where torch is imported on a busy machine a minute was seen
)


@dataclass(frozen=True, slots=True)
class Launch:
    """One process. Seconds from its start to the end of its first prediction, those of three of the steps, and bytes.

    The rest of the time is the start of Python and the import of NumPy. `peak_bytes` is the most memory that was resident,
    `import_bytes` the same when only the runtime's library had been imported; None where the system does not tell.
    """

    shape: tuple[int, ...]
    seconds: float
    import_seconds: float
    build_seconds: float
    run_seconds: float
    import_bytes: int | None
    peak_bytes: int | None


@dataclass(frozen=True, slots=True)
class ColdStart:
    """Several launches: medians, and the shortest and the longest time. The files lie in the system's cache."""

    launches: int
    median: float
    shortest: float
    longest: float
    import_seconds: float
    build_seconds: float
    run_seconds: float
    import_bytes: int | None
    peak_bytes: int | None


def launch(runtime: str, artefact: Path, *, threads: int = 1, shape: tuple[int, ...] | None = None) -> Launch:
    """Start a process that predicts once with `artefact` on `runtime`, with a batch of `shape` or what the file declares.

    Raises:
        PocketcnnError: it failed, crashed, or took longer than `TIMEOUT`; the message is the process's own.
    """
    command = [sys.executable, "-m", "pocketcnn.runtimes.first_prediction", runtime, str(artefact), str(threads)]
    command += ["x".join(map(str, shape))] if shape else []
    start = time.perf_counter()
    try:
        process = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise PocketcnnError(f"{runtime} gave no prediction within {TIMEOUT:.0f} seconds") from error
    if process.returncode != 0:
        raise PocketcnnError(_failure(runtime, process.returncode, process.stderr))
    report = json.loads(process.stdout.strip().rpartition("\n")[2])  # after whatever the library prints
    seconds = report.pop("predicted_at") - start  # one clock for all processes
    return Launch(**{**report, "shape": tuple(report["shape"])}, seconds=seconds)


def _failure(runtime: str, code: int, complaint: str) -> str:
    if code < 0:
        return f"{runtime} crashed ({signal.Signals(-code).name})"
    lines = complaint.strip().splitlines()
    return lines[-1] if lines else f"{runtime} failed without a word (exit code {code})"


def cold_start(launches: Sequence[Launch]) -> ColdStart:
    """The summary of launches of one artefact; at least one."""
    times = [launch.seconds for launch in launches]

    def median(field: str) -> float:
        return float(statistics.median(getattr(launch, field) for launch in launches))

    def median_bytes(field: str) -> int | None:
        values = [getattr(launch, field) for launch in launches]
        return None if None in values else round(statistics.median(values))

    return ColdStart(
        launches=len(launches),
        median=statistics.median(times),
        shortest=min(times),
        longest=max(times),
        import_seconds=median("import_seconds"),
        build_seconds=median("build_seconds"),
        run_seconds=median("run_seconds"),
        import_bytes=median_bytes("import_bytes"),
        peak_bytes=median_bytes("peak_bytes"),
    )

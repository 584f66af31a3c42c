"""Cold start: time from process start to the first prediction, and peak memory."""

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

TIMEOUT = 300.0  # seconds; usual are 0.1 to 1 s, but with an import of torch on a busy machine 60 s was observed


@dataclass(frozen=True, slots=True)
class Launch:
    """One launched process: seconds from its start to the end of its first prediction, seconds of three steps, peak bytes.

    The remaining time is the start of Python and the import of NumPy. `peak_bytes` is the peak of resident memory,
    `import_bytes` the peak after the import of the runtime's library; None if the system does not report it.
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
    """Summary of several launches: medians, shortest and longest time. The files are in the page cache of the system."""

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
    """Start a process that runs one prediction with `artefact` on `runtime`.

    Args:
        runtime: name of the runtime.
        artefact: path of the artefact.
        threads: number of threads.
        shape: (N, C, H, W) of the batch; None: the shape that the artefact declares, with one image.

    Raises:
        PocketcnnError: the process failed, crashed, or took longer than `TIMEOUT`; the message is that of the process.
    """
    command = [sys.executable, "-m", "pocketcnn.runtimes.first_prediction", runtime, str(artefact), str(threads)]
    command += ["x".join(map(str, shape))] if shape else []
    start = time.perf_counter()
    try:
        process = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise PocketcnnError(f"{runtime} did not finish a prediction within {TIMEOUT:.0f} s") from error
    if process.returncode != 0:
        raise PocketcnnError(_failure(runtime, process.returncode, process.stderr))
    report = json.loads(process.stdout.strip().rpartition("\n")[2])  # the last line: libraries may print before it
    seconds = report.pop("predicted_at") - start  # one clock for all processes
    return Launch(**{**report, "shape": tuple(report["shape"])}, seconds=seconds)


def _failure(runtime: str, code: int, complaint: str) -> str:
    if code < 0:
        return f"{runtime} crashed ({signal.Signals(-code).name})"
    lines = complaint.strip().splitlines()
    return lines[-1] if lines else f"{runtime} failed without a message (exit code {code})"


def cold_start(launches: Sequence[Launch]) -> ColdStart:
    """The summary of one or more launches of an artefact."""
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

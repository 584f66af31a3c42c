"""Runs damaged files in processes with limits on memory and time, and counts what became of them."""

import multiprocessing
import os
import resource
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random

from pocketcnn.errors import PocketcnnError

MEMORY = 2**30
"""Bytes that a case may take beyond what its process has when it begins."""

SECONDS = 10.0
"""Of a processor, that a case may take."""

LONGEST_WAIT = 60.0
"""Seconds in which a case must end, also if it does nothing but wait; the machine may be busy with others."""

LONGEST_START = 120.0
OUTCOMES = ("read", "refused", "traceback", "memory", "hang", "crash")


@dataclass(frozen=True)
class Failure:
    """A case that ended in neither a result nor a message."""

    number: int
    outcome: str
    what: str


def fuzzed(
    kind: str, cases: int, seed: int, folder: Path, keep: Path | None = None
) -> tuple[Mapping[str, int], list[Failure], float]:
    """Run so many cases of a kind of file.

    Args:
        kind: of `subjects.SUBJECTS`.
        cases: how many.
        seed: together with the kind and the number of a case, it decides the damage.
        folder: for the files.
        keep: where files that failed are kept.

    Returns:
        How often each of `OUTCOMES` was, the failures, and the seconds that all took.
    """
    counted, failures, begun, first = Counter[str](), list[Failure](), time.perf_counter(), 0
    while first < cases:
        for number, outcome, what in _in_process(kind, first, cases, seed, folder, keep):
            counted[outcome] += 1
            first = number + 1
            if outcome not in ("read", "refused"):
                failures.append(Failure(number, outcome, what))
    return {outcome: counted[outcome] for outcome in OUTCOMES}, failures, time.perf_counter() - begun


def _in_process(
    kind: str, first: int, cases: int, seed: int, folder: Path, keep: Path | None
) -> list[tuple[int, str, str]]:
    """The outcomes of the cases from `first` until the process ends or is ended."""
    context = multiprocessing.get_context("spawn")
    mine, its = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(its, kind, first, cases, seed, folder, keep), daemon=True)
    process.start()
    its.close()
    found: list[tuple[int, str, str]] = []
    number, limit = first, LONGEST_START
    try:
        while number < cases:
            if not _came(mine, process.pid, limit):
                found.append((number, "hang", f"more than {limit:g} s"))
                break
            received = mine.recv()
            if received is None:  # it is ready for the first case
                limit = SECONDS
                continue
            found.append((number, *received))
            number += 1
    except EOFError:
        process.join()
        found.append((number, "crash", f"the process ended with {process.exitcode}"))
    finally:
        process.kill()
        process.join()
    if found and found[-1][1] in ("hang", "crash"):
        _keep(kind, number, seed, folder, keep)
    return found


def _came(results: Connection, process: int | None, limit: float) -> bool:
    """Wait for a message of a process; False if the process takes too long."""
    begun, before = time.monotonic(), _processor_seconds(process)
    while not results.poll(1.0):
        waited = time.monotonic() - begun
        if _processor_seconds(process) - before > limit or waited > max(limit, LONGEST_WAIT):
            return False
    return True


def _processor_seconds(process: int | None) -> float:
    """What a process has taken of the processors; infinity if it has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("inf")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _work(results: Connection, kind: str, first: int, cases: int, seed: int, folder: Path, keep: Path | None) -> None:
    """Run cases until all are done; the first message is None, each other one (outcome, what)."""
    import torch

    from benchmarks.fuzzing.subjects import SUBJECTS

    torch.set_num_threads(1)
    subject = SUBJECTS[kind]
    examples = folder / "examples"
    examples.mkdir(exist_ok=True)
    good = subject.examples(examples)
    for content in good:
        path = folder / f"good{subject.suffix}"
        path.write_bytes(content)
        subject.use(path)  # raises if an undamaged file is refused, and loads what is loaded when it is needed
    _limit_memory()
    results.send(None)
    for number in range(first, cases):
        random = Random(f"{seed} {kind} {number}")
        path = folder / f"case{subject.suffix}"
        path.write_bytes(subject.damaged(random.choice(good), random))
        outcome = _outcome(subject.use, path)
        if outcome[0] not in ("read", "refused"):
            _keep(kind, number, seed, folder, keep)
        results.send(outcome)


def _outcome(use: object, path: Path) -> tuple[str, str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            use(path)  # type: ignore[operator]
    except PocketcnnError as error:
        return ("refused", "") if str(error) else ("traceback", "an error without a message")
    except MemoryError:
        return "memory", "MemoryError"
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        kind = "memory" if "allocate" in str(error) else "traceback"
        return kind, f"{type(error).__name__}: {str(error)[:100]!r} at {Path(last.filename).name}:{last.lineno}"
    return "read", ""


def _limit_memory() -> None:
    with Path("/proc/self/statm").open() as file:
        pages = int(file.read().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _keep(kind: str, number: int, seed: int, folder: Path, keep: Path | None) -> None:
    """Keep the file of a case that failed; it is the last that was written."""
    for path in folder.glob("case.*") if keep is not None else ():
        assert keep is not None
        keep.mkdir(parents=True, exist_ok=True)
        (keep / f"{kind}-{seed}-{number}{path.suffix}").write_bytes(path.read_bytes())

"""`profile` in a process of its own: a runtime that crashes on a block costs that block, not the profile.

Runtimes are native code, and random networks find their defects; one ends the whole process. So the measuring process says
what it is about to try. If it dies, the block of its last word is noted as one that the runtime cannot run, and another
process goes on with the table.
"""

import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

from pocketcnn.callbacks import no_op
from pocketcnn.errors import PocketcnnError
from pocketcnn.pipeline.latency.profile import SECONDS, Progress, begun_table, profile
from pocketcnn.runtimes.base import Numerics
from pocketcnn.targets import Target
from pocketcnn.targets.latency.table import BlockLatency, LatencyTable

PATIENCE = 10.0
"""Seconds that an interrupted process has to save its table."""


def profile_apart(
    target: Target,
    path: Path,
    *,
    seconds: float = SECONDS,
    numerics: Sequence[Numerics] = (),
    fresh: bool = False,
    seed: int | None = None,
    progress: Progress = no_op,
) -> LatencyTable:
    """As `pipeline.profile.profile`, whose arguments these are, but whatever the runtime does to its process.

    Raises:
        UsageError, PocketcnnError: as there; or the runtime crashes before it has tried a block.
    """
    table = begun_table(target, path, fresh=fresh, seed=seed)
    if fresh:
        path.unlink(missing_ok=True)
    while table.seconds < seconds:
        crashed = _measured(target, path, seconds, tuple(numerics), seed, progress)
        table = begun_table(target, path, seed=seed)
        if crashed is None:
            return table
        blocks, precision = crashed
        table = table.extended([BlockLatency(blocks, precision, 0.0, 0.0, 0.0, 0, _usual(table))], 0.0)
        table.save(path)
    return table


def _usual(table: LatencyTable) -> float:
    """The reference's last time: a point that did not run has one too."""
    return table.points[-1].reference if table.points else 0.0


def _measured(
    target: Target, path: Path, seconds: float, numerics: tuple[Numerics, ...], seed: int | None, progress: Progress
) -> tuple[str, Numerics] | None:
    """Measure in a process until the time is up; what it tried when it crashed, or None."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(theirs, target, path, seconds, numerics, seed), daemon=True)
    process.start()
    theirs.close()
    tried: tuple[str, Numerics] | None = None
    try:
        while (word := _word(ours)) is not None:
            kind, *told = word
            if kind == "trying":
                tried = told[0], told[1]
            elif kind == "progress":
                progress(*told)
            elif kind == "failed":
                raise told[0]
            else:
                return None
    finally:
        _ended(process)
    if tried is None:
        raise PocketcnnError(
            f"The runtime of {target.name} crashed before it ran anything (exit code {process.exitcode})."
        )
    return tried


def _word(pipe: Connection) -> tuple | None:  # type: ignore[type-arg]
    """What the process says next; None once it is gone."""
    try:
        return pipe.recv()  # type: ignore[no-any-return]
    except (EOFError, OSError):
        return None


def _ended(process: SpawnProcess) -> None:
    process.join(PATIENCE)
    if process.is_alive():
        process.terminate()
        process.join()


def _work(
    pipe: Connection, target: Target, path: Path, seconds: float, numerics: tuple[Numerics, ...], seed: int | None
) -> None:
    """The measuring process."""
    try:
        profile(
            target,
            path,
            seconds=seconds,
            numerics=numerics,
            seed=seed,
            progress=lambda *told: pipe.send(("progress", *told)),
            trying=lambda blocks, precision: pipe.send(("trying", blocks, precision)),
        )
        pipe.send(("done",))
    except KeyboardInterrupt:  # saved; the parent has it too
        return
    except PocketcnnError as error:
        pipe.send(("failed", _plain(error)))


def _plain(error: PocketcnnError) -> PocketcnnError:
    """The same error as one that can be sent to another process, whatever its constructor takes."""
    plain = PocketcnnError(str(error))
    plain.exit_code = error.exit_code
    return plain

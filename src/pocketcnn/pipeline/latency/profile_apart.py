"""`profile` in a separate process, so that a crash of the runtime costs one block, not the profile.

Runtimes are native code, and a defect that a random network triggers ends the process. The measuring process therefore
reports each block before it runs it. If it crashes, the last reported block is recorded as unsupported, and a new process
continues the table.
"""

import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

from pocketcnn.callbacks import no_op
from pocketcnn.errors import PocketcnnError
from pocketcnn.pipeline.exclusive import exclusive_file, writes_to
from pocketcnn.pipeline.latency.profile import SECONDS, Progress, begun_table, profile
from pocketcnn.runtimes.base import Numerics
from pocketcnn.targets import Target
from pocketcnn.targets.latency.table import BlockLatency, LatencyTable

PATIENCE = 10.0
"""Seconds that an interrupted process gets to save its table."""


@writes_to("path", exclusive_file)
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
    """`pipeline.latency.profile.profile` with the same arguments, in a process whose crashes are tolerated.

    Raises:
        FolderInUse: another process measures the same table.
        UsageError, PocketcnnError: as `profile`; or the runtime crashes before the first block.
    """
    table = begun_table(target, path, fresh=fresh, seed=seed)
    if fresh:
        path.unlink(missing_ok=True)
    while table.seconds < seconds:
        crashed = _measure_in_process(target, path, seconds, tuple(numerics), seed, progress)
        table = begun_table(target, path, seed=seed)
        if crashed is None:
            return table
        blocks, precision = crashed
        table = table.extended([BlockLatency(blocks, precision, 0.0, 0.0, 0.0, 0, _last_reference(table))], 0.0)
        table.save(path)
    return table


def _last_reference(table: LatencyTable) -> float:
    """The last time of the reference network in seconds, which every entry of the table has."""
    return table.points[-1].reference if table.points else 0.0


def _measure_in_process(
    target: Target, path: Path, seconds: float, numerics: tuple[Numerics, ...], seed: int | None, progress: Progress
) -> tuple[str, Numerics] | None:
    """Measure in a process until `seconds` are spent; return the (blocks, numerics) at which it crashed, or None."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(theirs, target, path, seconds, numerics, seed), daemon=True)
    process.start()
    theirs.close()
    tried: tuple[str, Numerics] | None = None
    try:
        while (message := _next_message(ours)) is not None:
            kind, *values = message
            if kind == "trying":
                tried = values[0], values[1]
            elif kind == "progress":
                progress(*values)
            elif kind == "failed":
                raise values[0]
            else:
                return None
    finally:
        _stop(process)
    if tried is None:
        raise PocketcnnError(
            f"The runtime of {target.name} crashed before it ran anything (exit code {process.exitcode})."
        )
    return tried


def _next_message(pipe: Connection) -> tuple | None:  # type: ignore[type-arg]
    """The next message of the process; None after it has ended."""
    try:
        return pipe.recv()  # type: ignore[no-any-return]
    except (EOFError, OSError):
        return None


def _stop(process: SpawnProcess) -> None:
    process.join(PATIENCE)
    if process.is_alive():
        process.terminate()
        process.join()


def _work(
    pipe: Connection, target: Target, path: Path, seconds: float, numerics: tuple[Numerics, ...], seed: int | None
) -> None:
    """The main function of the measuring process."""
    try:
        profile(
            target,
            path,
            seconds=seconds,
            numerics=numerics,
            seed=seed,
            progress=lambda *values: pipe.send(("progress", *values)),
            trying=lambda blocks, precision: pipe.send(("trying", blocks, precision)),
        )
        pipe.send(("done",))
    except KeyboardInterrupt:  # the table is saved; the parent process handles the interrupt
        return
    except PocketcnnError as error:
        pipe.send(("failed", _plain(error)))


def _plain(error: PocketcnnError) -> PocketcnnError:
    """A copy of the error that can be pickled, without its own class."""
    plain = PocketcnnError(str(error))
    plain.exit_code = error.exit_code
    return plain

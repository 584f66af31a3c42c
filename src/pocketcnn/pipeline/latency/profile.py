"""`profile`: measure the building blocks of networks on a target, for its latency table.

The machine is not equally fast all the time, so a small reference network is timed again and again in between; the
table keeps its times, by which a slow phase is told from a slow block. A profile that is stopped, by its time or by a
kill, goes on where it was; the blocks come in the same order whenever they are measured.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pocketcnn.callbacks import no_op
from pocketcnn.compression.deployed import in_precision
from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.graph import Graph, GraphNetwork
from pocketcnn.runtimes import Runtime, Session, get_runtime
from pocketcnn.runtimes.base import FloatArray, Numerics
from pocketcnn.runtimes.timing import Clock, no_garbage_collection, turn
from pocketcnn.targets import Target
from pocketcnn.targets.latency.block_text import PooledWeights, build
from pocketcnn.targets.latency.predictor import current_conditions
from pocketcnn.targets.latency.regression import MIN_MEASUREMENTS
from pocketcnn.targets.latency.sampling import plan
from pocketcnn.targets.latency.table import MAX_POINTS, BlockLatency, LatencyTable
from pocketcnn.targets.measuring import example_batch, runtime_of

SECONDS = 300.0
"""Enough for some thousand blocks on a usual machine."""

REFERENCE = (
    "3x160x160 conv:3,2,16,6 sep:3,1,32,6 sep:3,2,64,6 ir:3,2,192,32,0,6 ir:3,1,192,32,0,6 basic:2,96 pool fc:1000,0"
)
TOGETHER, TURNS = 16, 5
"""Blocks whose sessions are open at a time, and how often each has its turn.

Machines that are shared are slow for moments of up to a second. A block that is met at five moments, some seconds apart, is
rarely slow at most of them, and the median of its turns counts.
"""

SAMPLING = 0.006
"""Seconds of calls of one block in a turn; at least `FEWEST` calls, at most `LONGEST` seconds."""

SETTLE = 0.002
"""Seconds of calls before them that are not counted, until the caches are this block's own."""

FEWEST = 2
LONGEST = 0.2
SAVED_EVERY = 5.0

Progress = Callable[[float, float, int], None]
"""Told seconds spent, seconds there are, and measurements in the table."""


Trying = Callable[[str, Numerics], None]
"""Told the blocks, and their numerics, that a session is built of next."""


def profile(
    target: Target,
    path: Path,
    *,
    seconds: float = SECONDS,
    numerics: Sequence[Numerics] = (),
    fresh: bool = False,
    seed: int | None = None,
    progress: Progress = no_op,
    trying: Trying = no_op,
    clock: Clock = time.perf_counter_ns,
) -> LatencyTable:
    """Measure until the table at `path` has taken `seconds` in all, and holds enough to predict from; return it.

    A table that is there is gone on with; the file is written every some seconds, so that a kill loses no more.

    Args:
        target: runs on this machine.
        path: where the table is, or will be.
        seconds: in all, with what the table that is there has taken.
        numerics: forms to measure; all that the target and its runtime have unless given.
        fresh: begin anew, whatever there is.
        seed: of the plan of blocks; 0 for a new table if not given. A table that is gone on with keeps its own.
        progress: called now and then.
        trying: called before each block.
        clock: in nanoseconds.

    Raises:
        UsageError: nothing here runs networks of the target; a numerics that it lacks; or a table of other circumstances
            or of another seed.
        PocketcnnError: the runtime is absent, or the table cannot be written.
    """
    runtime = get_runtime(runtime_of(target))
    precisions = _forms(target, runtime, numerics)
    table = begun_table(target, path, fresh=fresh, seed=seed)
    if table.seconds >= seconds:
        return table
    with TemporaryDirectory() as folder, no_garbage_collection():
        profiling = _Profile(runtime, target.thread_count, precisions, Path(folder), trying, clock)
        return profiling.run(table, path, seconds, progress)


def begun_table(target: Target, path: Path, *, fresh: bool = False, seed: int | None = None) -> LatencyTable:
    """The table at `path` that is gone on with, or a new one without measurements.

    Raises:
        UsageError: the table is of other circumstances or of another seed, or the file is none.
        PocketcnnError: the runtime is absent.
    """
    here = current_conditions(target)
    if fresh or not path.is_file():
        return LatencyTable(target.name, here, seed or 0)
    table = LatencyTable.load(path)
    table.check(here)
    if seed not in (None, table.seed):
        raise UsageError(
            f"The table {path} was begun with seed {table.seed}, and goes on with it. Leave --seed out, or begin anew: --fresh."
        )
    return table


def _forms(target: Target, runtime: Runtime, wanted: Sequence[Numerics]) -> tuple[Numerics, ...]:
    there = tuple(precision for precision in target.numerics if precision in runtime.numerics)
    for precision in wanted:
        if precision not in there:
            raise UsageError(f"{target.name} runs {', '.join(there)} on {runtime.name}, not {precision}.")
    return tuple(wanted) or there


@dataclass
class _Profile:
    """The measuring of one target: sessions of blocks, one after the other, and one of the reference that stays."""

    runtime: Runtime
    threads: int
    precisions: tuple[Numerics, ...]
    folder: Path
    trying: Trying
    clock: Clock
    _reference: list[tuple[Session, FloatArray]] = field(default_factory=list)

    def run(self, table: LatencyTable, path: Path, seconds: float, progress: Progress) -> LatencyTable:
        """`table` with more points, saved at `path`."""
        session = self._session(build(REFERENCE, PooledWeights()), "reference")
        with closing(session):
            self._reference = [(session, example_batch(session))]
            begun = self.clock()
            saved, before, fresh = 0.0, table.seconds, list[BlockLatency]()
            least = MIN_MEASUREMENTS * len(self.precisions)
            try:
                for points in self._batches(table):
                    fresh += points
                    spent = (self.clock() - begun) / 1e9
                    progress(before + spent, seconds, len(table.points) + len(fresh))
                    if spent - saved > SAVED_EVERY:
                        table.extended(fresh, spent).save(path)
                        saved = spent
                    if before + spent >= seconds and len(table.points) + len(fresh) >= least:
                        break
            finally:
                if fresh:
                    table = table.extended(fresh, (self.clock() - begun) / 1e9)
                    table.save(path)
        return table

    def _batches(self, table: LatencyTable) -> Iterator[list[BlockLatency]]:
        """The points that the table does not have, in the order of the plan, those together that were measured together."""
        done = {(point.blocks, point.numerics) for point in table.points}
        wanted = (
            (blocks, precision) for blocks in islice(plan(table.seed), MAX_POINTS) for precision in self.precisions
        )
        missing = islice((pair for pair in wanted if pair not in done), MAX_POINTS - len(done))
        while pairs := list(islice(missing, TOGETHER)):
            yield self._together(pairs)

    def _together(self, pairs: Sequence[tuple[str, Numerics]]) -> list[BlockLatency]:
        """The points of some (blocks, numerics), measured in turns."""
        with contextlib.ExitStack() as stack:
            sessions: list[tuple[Session, FloatArray] | None] = []
            for place, (blocks, precision) in enumerate(pairs):
                self.trying(blocks, precision)
                try:
                    opened = self._session(in_precision(build(blocks, PooledWeights()), precision), f"blocks-{place}")
                    session = stack.enter_context(closing(opened))
                    batch = example_batch(session)
                    session.run(batch)  # a runtime may refuse what it could build
                    sessions.append((session, batch))
                except PocketcnnError:  # this runtime cannot take it; other blocks have the kernels that it can
                    sessions.append(None)
            turns: list[list[list[float]]] = [[] for _ in pairs]
            references: list[float] = []
            for _ in range(TURNS):
                references.append(float(np.median(self._samples(*self._reference[0]))))
                for samples, there in zip(turns, sessions, strict=True):
                    if there is not None:
                        samples.append(self._samples(*there))
        reference = float(np.median(references))
        return [
            _point(blocks, precision, samples, reference)
            for (blocks, precision), samples in zip(pairs, turns, strict=True)
        ]

    def _session(self, graph: Graph, stem: str) -> Session:
        """A session of a file of its own: some runtimes go on reading it."""
        path = self.runtime.write(GraphNetwork(graph), self.folder / f"{stem}{self.runtime.suffix}")
        return self.runtime.build(path, threads=self.threads)

    def _samples(self, session: Session, batch: FloatArray) -> list[float]:
        """Seconds of calls in one turn."""
        return turn(session, batch, settle=SETTLE, seconds=SAMPLING, fewest=FEWEST, longest=LONGEST, clock=self.clock)


def _point(blocks: str, precision: Numerics, turns: Sequence[Sequence[float]], reference: float) -> BlockLatency:
    """The median of the medians of the turns, and percentiles of the calls of all turns."""
    if not turns:
        return BlockLatency(blocks, precision, 0.0, 0.0, 0.0, 0, reference)
    samples = np.concatenate([np.asarray(turn) for turn in turns])
    p10, p90 = (float(value) for value in np.percentile(samples, [10, 90]))
    return BlockLatency(
        blocks, precision, float(np.median([np.median(turn) for turn in turns])), p10, p90, len(samples), reference
    )

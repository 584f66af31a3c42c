"""`profile`: measures building blocks of networks on a target, for its latency table.

The speed of a machine varies, so a small reference network is timed repeatedly. Its times are in the table and distinguish a
slow phase of the machine from a slow block. An interrupted profile is resumed: the order of the blocks depends only on the
seed.
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
"""Default duration of a profile: some thousand blocks on a typical machine."""

REFERENCE = (
    "3x160x160 conv:3,2,16,6 sep:3,1,32,6 sep:3,2,64,6 ir:3,2,192,32,0,6 ir:3,1,192,32,0,6 basic:2,96 pool fc:1000,0"
)
TOGETHER, TURNS = 16, 5
"""Number of blocks with open sessions, and of the turns of each.

Shared machines are slow for up to a second at a time. The five turns of a block are some seconds apart, so that their median
is rarely affected.
"""

SAMPLING = 0.006
"""Duration of one turn of a block in seconds; at least `FEWEST` calls, at most `LONGEST` seconds."""

SETTLE = 0.002
"""Duration of the warm-up before each turn in seconds, to fill the caches with this block's data."""

FEWEST = 2
LONGEST = 0.2
SAVED_EVERY = 5.0

Progress = Callable[[float, float, int], None]
"""Called with the seconds spent, the seconds available, and the number of measurements in the table."""


Trying = Callable[[str, Numerics], None]
"""Called with the blocks and the numerics of the next session, before it is created."""


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
    """Measure blocks until the table at `path` has taken `seconds` in total and is sufficient for predictions; return it.

    An existing table is continued. The file is saved every 5 s, so that little is lost when the process is killed.

    Args:
        target: has a runtime on this machine.
        path: the file of the table, which may exist.
        seconds: total duration, including that of an existing table.
        numerics: precisions to measure; all that target and runtime support if not given.
        fresh: discard an existing table.
        seed: of the random blocks; 0 for a new table if not given. An existing table keeps its own.
        progress: called after each group of measurements.
        trying: called before each block.
        clock: in nanoseconds.

    Raises:
        UsageError: the target has no runtime on this machine or does not support `numerics`; or the existing table was
            measured under other conditions or with another seed.
        PocketcnnError: the runtime is not installed, or the table cannot be written.
    """
    runtime = get_runtime(runtime_of(target))
    precisions = _precisions(target, runtime, numerics)
    table = begun_table(target, path, fresh=fresh, seed=seed)
    if table.seconds >= seconds:
        return table
    with TemporaryDirectory() as folder, no_garbage_collection():
        profiling = _Profile(runtime, target.thread_count, precisions, Path(folder), trying, clock)
        return profiling.run(table, path, seconds, progress)


def begun_table(target: Target, path: Path, *, fresh: bool = False, seed: int | None = None) -> LatencyTable:
    """The existing table at `path`, or a new one without measurements.

    Raises:
        UsageError: the table was measured under other conditions or with another seed, or the file is not a table.
        PocketcnnError: the runtime is not installed.
    """
    here = current_conditions(target)
    if fresh or not path.is_file():
        return LatencyTable(target.name, here, seed or 0)
    table = LatencyTable.load(path)
    table.check(here)
    if seed not in (None, table.seed):
        raise UsageError(
            f"The table {path} was started with seed {table.seed}. Leave --seed out, or start a new table with --fresh."
        )
    return table


def _precisions(target: Target, runtime: Runtime, requested: Sequence[Numerics]) -> tuple[Numerics, ...]:
    supported = tuple(precision for precision in target.numerics if precision in runtime.numerics)
    for precision in requested:
        if precision not in supported:
            raise UsageError(f"{target.name} runs {', '.join(supported)} on {runtime.name}, not {precision}.")
    return tuple(requested) or supported


@dataclass
class _Profile:
    """The measurement of one target: sessions of blocks in sequence, and a permanent session of the reference."""

    runtime: Runtime
    threads: int
    precisions: tuple[Numerics, ...]
    folder: Path
    trying: Trying
    clock: Clock
    _reference: list[tuple[Session, FloatArray]] = field(default_factory=list)

    def run(self, table: LatencyTable, path: Path, seconds: float, progress: Progress) -> LatencyTable:
        """Measure further points until `seconds` are spent; return the table, which is saved at `path`."""
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
        """Measure the points that the table does not have, in the order of the plan; yield them in groups."""
        done = {(point.blocks, point.numerics) for point in table.points}
        wanted = (
            (blocks, precision) for blocks in islice(plan(table.seed), MAX_POINTS) for precision in self.precisions
        )
        missing = islice((pair for pair in wanted if pair not in done), MAX_POINTS - len(done))
        while pairs := list(islice(missing, TOGETHER)):
            yield self._together(pairs)

    def _together(self, pairs: Sequence[tuple[str, Numerics]]) -> list[BlockLatency]:
        """Measure the points of several (blocks, numerics) in turns."""
        with contextlib.ExitStack() as stack:
            sessions: list[tuple[Session, FloatArray] | None] = []
            for place, (blocks, precision) in enumerate(pairs):
                self.trying(blocks, precision)
                try:
                    opened = self._session(in_precision(build(blocks, PooledWeights()), precision), f"blocks-{place}")
                    session = stack.enter_context(closing(opened))
                    batch = example_batch(session)
                    session.run(batch)  # some runtimes fail only when a session is run
                    sessions.append((session, batch))
                except PocketcnnError:  # not supported by this runtime; other blocks cover its kernels
                    sessions.append(None)
            turns: list[list[list[float]]] = [[] for _ in pairs]
            references: list[float] = []
            for _ in range(TURNS):
                references.append(float(np.median(self._samples(*self._reference[0]))))
                for samples, pair in zip(turns, sessions, strict=True):
                    if pair is not None:
                        samples.append(self._samples(*pair))
        reference = float(np.median(references))
        return [
            _point(blocks, precision, samples, reference)
            for (blocks, precision), samples in zip(pairs, turns, strict=True)
        ]

    def _session(self, graph: Graph, stem: str) -> Session:
        """A session with its own file, because some runtimes keep reading it."""
        path = self.runtime.write(GraphNetwork(graph), self.folder / f"{stem}{self.runtime.suffix}")
        return self.runtime.build(path, threads=self.threads)

    def _samples(self, session: Session, batch: FloatArray) -> list[float]:
        """The times of the calls in one turn, in seconds."""
        return turn(session, batch, settle=SETTLE, seconds=SAMPLING, fewest=FEWEST, longest=LONGEST, clock=self.clock)


def _point(blocks: str, precision: Numerics, turns: Sequence[Sequence[float]], reference: float) -> BlockLatency:
    """The table entry of a block: median of the medians of its turns, and percentiles over all calls.

    Without turns, the entry says that the runtime cannot run the block.
    """
    if not turns:
        return BlockLatency(blocks, precision, 0.0, 0.0, 0.0, 0, reference)
    samples = np.concatenate([np.asarray(turn) for turn in turns])
    p10, p90 = (float(value) for value in np.percentile(samples, [10, 90]))
    return BlockLatency(
        blocks, precision, float(np.median([np.median(turn) for turn in turns])), p10, p90, len(samples), reference
    )

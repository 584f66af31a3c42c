"""Latency measurement of sessions, the same for all runtimes; results include the spread and the conditions."""

import contextlib
import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pocketcnn.errors import UsageError
from pocketcnn.runtimes.base import FloatArray, Session, SessionInfo
from pocketcnn.runtimes.intervals import Samples, median_interval, ratio_interval
from pocketcnn.runtimes.machine import Machine, this_machine

Clock = Callable[[], int]
"""A monotonic clock in nanoseconds."""

SHORTEST_SAMPLE = 10_000  # ns; reading the clock takes about 0.1 µs, so its overhead is about 1 %
TURN = 5e-3  # seconds of samples before it is the next session's turn
TURNS = 10  # minimum number of turns, so that no session benefits from one quiet moment
SETTLE = 5e-3  # seconds of warm-up calls per turn until the caches are warm; after one call 3 to 7 % were still missing
SPIN = 50e-3  # seconds; after a call, idle threads were observed to spin for 40 ms (ONNX Runtime) and 10 ms (OpenMP)


@dataclass(frozen=True)
class StopRule:
    """When to stop a measurement.

    After a warm-up of `warmup_seconds`, calls are repeated until the 95 % confidence interval of the median is narrower
    than `precision` times the median, but at least `min_repeats` times and for `min_seconds` (so that a short disturbance
    does not decide the result), and at most for `max_seconds` per session.
    """

    warmup_seconds: float = 0.1
    min_seconds: float = 0.2
    max_seconds: float = 3.0
    precision: float = 0.03
    min_repeats: int = 30

    def __post_init__(self) -> None:
        if min(self.warmup_seconds, self.min_seconds) < 0 or min(self.max_seconds, self.precision) <= 0:
            raise UsageError(f"Durations must be 0 or more, max_seconds and precision above 0: {self}.")
        if self.min_repeats < 1:
            raise UsageError(f"A measurement needs at least one repeat, not {self.min_repeats}.")


DEFAULT_RULE = StopRule()


@dataclass(frozen=True)
class Latency:
    """The time of one call of a session, in seconds, and how it was measured.

    `p10` and `p90` are percentiles of the samples, `interval` is the 95 % confidence interval of the median.
    A sample is the mean of `calls_per_repeat` calls (1 unless a call takes under 10 µs). `converged` is False if the time
    limit was reached before the interval was narrow enough. `shape` is the batch (N, C, H, W).
    """

    median: float
    p10: float
    p90: float
    interval: tuple[float, float]
    repeats: int
    calls_per_repeat: int
    warmup_calls: int
    converged: bool
    shape: tuple[int, ...]
    session: SessionInfo
    machine: Machine


@dataclass(frozen=True)
class Comparison:
    """Interleaved latencies, and for each the ratio of its median to that of the first session, with a 95 % interval."""

    latencies: tuple[Latency, ...]
    ratios: tuple[float, ...]
    intervals: tuple[tuple[float, float], ...]


def measure(
    session: Session, example: FloatArray, *, rule: StopRule = DEFAULT_RULE, clock: Clock = time.perf_counter_ns
) -> Latency:
    """Time `session` on the batch `example` (N, C, H, W).

    Raises:
        PocketcnnError: the session cannot run the batch.
    """
    with no_garbage_collection(), session.active():
        stopwatch = _Stopwatch.warmed_up(session, example, rule, clock)
        samples = _rounds(
            lambda: np.array([[stopwatch.sample()]]), rule, clock, cap=rule.max_seconds, at_least=rule.min_repeats
        )
    return _latency(stopwatch, samples[:, 0], rule)


def compare(
    sessions: Sequence[Session],
    examples: Sequence[FloatArray],
    *,
    rule: StopRule = DEFAULT_RULE,
    clock: Clock = time.perf_counter_ns,
) -> Comparison:
    """Time several sessions interleaved (A B C A B C …), each on its own example, so that noise and drift affect all equally.

    A turn begins with calls that are not timed (`SETTLE`), which bring the session's data back into the caches. After a
    session with several threads they continue until its idle threads stop spinning (`SPIN`); spinning is not disabled,
    because it is part of a runtime's normal behaviour. Sorting sessions by number of threads therefore saves time.

    Raises:
        ValueError: no sessions, or not one example per session.
        PocketcnnError: a session cannot run its example.
    """
    if not sessions or len(sessions) != len(examples):
        raise ValueError(f"{len(sessions)} sessions and {len(examples)} examples: each session needs one example")
    with no_garbage_collection():
        stopwatches = []
        for session, example in zip(sessions, examples, strict=True):
            with session.active():
                stopwatches.append(_Stopwatch.warmed_up(session, example, rule, clock))
        befores = (sessions[-1], *sessions[:-1])
        settle = [SETTLE if before.info.threads == 1 else SPIN for before in befores]
        block = max(1, math.ceil(TURN / max(stopwatch.seconds for stopwatch in stopwatches)))
        samples = _rounds(
            lambda: np.array([watch.turn(calls, block) for watch, calls in zip(stopwatches, settle, strict=True)]).T,
            rule,
            clock,
            cap=rule.max_seconds * len(sessions),
            at_least=max(rule.min_repeats, TURNS * block),
        )
    latencies = tuple(_latency(stopwatch, samples[:, i], rule) for i, stopwatch in enumerate(stopwatches))
    return Comparison(
        latencies,
        ratios=tuple(latency.median / latencies[0].median for latency in latencies),
        intervals=tuple(ratio_interval(samples[:, i], samples[:, 0]) for i in range(len(latencies))),
    )


def turn(
    session: Session,
    example: FloatArray,
    *,
    settle: float,
    seconds: float,
    fewest: int = 1,
    longest: float = math.inf,
    clock: Clock = time.perf_counter_ns,
) -> list[float]:
    """Times of single calls, in seconds, after untimed calls for at least `settle` seconds.

    Calls are timed for `seconds` and until there are `fewest`, but at most for `longest` seconds.
    """
    samples: list[float] = []
    with session.active():
        _settle(session, example, settle, clock)
        start = clock()
        while True:
            before = clock()
            session.run(example)
            after = clock()
            samples.append((after - before) / 1e9)
            spent = (after - start) / 1e9
            if spent >= longest or (spent >= seconds and len(samples) >= fewest):
                return samples


def _settle(session: Session, example: FloatArray, seconds: float, clock: Clock) -> None:
    """Untimed calls that warm the caches."""
    start = clock()
    session.run(example)
    while clock() - start < seconds * 1e9:
        session.run(example)


@dataclass(frozen=True)
class _Stopwatch:
    """A warmed-up session with its example, and the number of calls per sample for the resolution of the clock."""

    session: Session
    example: FloatArray
    clock: Clock
    calls: int
    seconds: float  # of a sample, at its fastest
    warmup_calls: int

    @classmethod
    def warmed_up(cls, session: Session, example: FloatArray, rule: StopRule, clock: Clock) -> "_Stopwatch":
        start = clock()
        durations: list[int] = []
        while len(durations) < 2 or clock() - start < rule.warmup_seconds * 1e9:
            before = clock()
            session.run(example)
            durations.append(clock() - before)
        fastest = max(1, min(durations))
        calls = math.ceil(SHORTEST_SAMPLE / fastest)
        return cls(session, example, clock, calls, calls * fastest / 1e9, len(durations))

    def sample(self) -> float:
        """Seconds per call, averaged over `calls` consecutive calls."""
        start = self.clock()
        for _ in range(self.calls):
            self.session.run(self.example)
        return (self.clock() - start) / self.calls / 1e9

    def turn(self, settle: float, block: int) -> list[float]:
        """`block` samples, after untimed calls for at least `settle` seconds."""
        with self.session.active():
            _settle(self.session, self.example, settle, self.clock)
            return [self.sample() for _ in range(block)]


def _rounds(take: Callable[[], Samples], rule: StopRule, clock: Clock, *, cap: float, at_least: int) -> Samples:
    """Samples (repeats, sessions), round by round until every median is precise enough or `cap` seconds have passed."""
    rounds: list[Samples] = []
    start = clock()
    repeats, next_check = 0, at_least
    while True:
        rounds.append(take())
        repeats += len(rounds[-1])
        elapsed = (clock() - start) / 1e9
        if elapsed >= cap:
            return np.concatenate(rounds)
        if repeats >= next_check and elapsed >= rule.min_seconds:
            samples = np.concatenate(rounds)
            if all(_precise(np.sort(column), rule) for column in samples.T):
                return samples
            next_check = repeats + max(10, repeats // 10)  # a check sorts the samples


def _precise(ordered: Samples, rule: StopRule) -> bool:
    low, high = median_interval(ordered)
    return len(ordered) >= rule.min_repeats and high - low <= rule.precision * float(np.median(ordered))


def _latency(stopwatch: _Stopwatch, samples: Samples, rule: StopRule) -> Latency:
    ordered = np.sort(samples)
    p10, median, p90 = (float(value) for value in np.percentile(ordered, [10, 50, 90]))
    return Latency(
        median=median,
        p10=p10,
        p90=p90,
        interval=median_interval(ordered),
        repeats=len(ordered),
        calls_per_repeat=stopwatch.calls,
        warmup_calls=stopwatch.warmup_calls,
        converged=_precise(ordered, rule),
        shape=stopwatch.example.shape,
        session=stopwatch.session.info,
        machine=this_machine(),
    )


@contextlib.contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Disable Python's garbage collector within the context."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()

import contextlib
import dataclasses
import gc
import json
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from pydantic import TypeAdapter

from pocketcnn.errors import UsageError
from pocketcnn.runtimes import Latency, SessionInfo, StopRule, compare, measure
from pocketcnn.runtimes.timing import SETTLE, SHORTEST_SAMPLE, SPIN, TURNS

EXAMPLE = np.zeros((1, 3, 4, 4), np.float32)
MS = 1_000_000  # nanoseconds


class FakeClock:
    """Time that passes only when a fake session runs."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


class FakeSession:
    """A session whose n-th call takes ``duration(n)`` nanoseconds of the fake clock."""

    input_shape = (None, 3, 4, 4)

    def __init__(self, clock: FakeClock, duration: Callable[[int], float], threads: int = 1, name: str = "A") -> None:
        self.info = SessionInfo("fake", "1.0", threads, {"key": "value"})
        self.clock, self.duration, self.name = clock, duration, name
        self.calls = 0
        self.is_active = False
        self.journal: list[str] = []

    def run(self, batch: np.ndarray) -> np.ndarray:
        assert self.is_active
        assert not gc.isenabled()
        self.clock.now += round(self.duration(self.calls))
        self.calls += 1
        self.journal.append(self.name)
        return batch

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        self.is_active = True
        yield
        self.is_active = False

    def close(self) -> None: ...


def steady(milliseconds: float) -> Callable[[int], float]:
    return lambda _: milliseconds * MS


def noisy(milliseconds: float, sigma: float, seed: int = 0) -> Callable[[int], float]:
    random = np.random.default_rng(seed)
    return lambda _: milliseconds * MS * random.lognormal(sigma=sigma)


def run(duration: Callable[[int], float], **rule: float) -> tuple[Latency, FakeSession, FakeClock]:
    clock = FakeClock()
    session = FakeSession(clock, duration)
    latency = measure(session, EXAMPLE, rule=StopRule(**rule), clock=clock)
    return latency, session, clock


def test_a_steady_session_needs_the_least_number_of_repeats():
    latency, session, _ = run(steady(50))
    assert latency.median == latency.p10 == latency.p90 == pytest.approx(0.05)
    assert latency.interval == pytest.approx((0.05, 0.05))
    assert latency.repeats == 30
    assert latency.converged
    assert session.calls == latency.warmup_calls + latency.repeats


def test_warm_up_is_not_counted():
    """The first calls are ten times slower; after 100 ms of them the session is warm."""
    latency, _, _ = run(lambda call: (10 if call < 10 else 1) * MS)
    assert latency.warmup_calls == 10
    assert latency.p90 == pytest.approx(1e-3)


def test_at_least_two_calls_warm_up():
    latency, _, _ = run(steady(400), warmup_seconds=0)
    assert latency.warmup_calls == 2


def test_a_fast_session_is_watched_for_the_least_time():
    latency, _, _ = run(steady(1), min_seconds=0.2)
    assert 0.2 <= latency.repeats * latency.median < 0.25


def test_noise_is_repeated_until_the_interval_is_narrow():
    quiet, _, _ = run(noisy(1, sigma=0.05))
    loud, _, _ = run(noisy(1, sigma=0.3))
    for latency in (quiet, loud):
        low, high = latency.interval
        assert latency.converged
        assert low <= latency.median <= high
        assert high - low <= 0.03 * latency.median
        assert latency.p10 < latency.median < latency.p90
    assert loud.repeats > 2 * quiet.repeats


def test_repeating_ends_soon_after_the_interval_is_narrow_enough():
    strict, _, _ = run(noisy(1, sigma=0.2), precision=0.03)
    lax, _, _ = run(noisy(1, sigma=0.2), precision=0.06)
    assert lax.repeats < strict.repeats
    assert strict.interval[1] - strict.interval[0] > 0.6 * 0.03 * strict.median


def test_the_cap_ends_what_does_not_converge():
    latency, _, clock = run(noisy(1, sigma=1.0), warmup_seconds=0.1, max_seconds=0.5)
    assert not latency.converged
    assert 0.5e9 <= clock.now < 0.7e9


def test_the_cap_ends_a_slow_session_before_the_least_number_of_repeats():
    latency, _, _ = run(steady(1000), max_seconds=3)
    assert latency.repeats == 3
    assert not latency.converged


def test_the_median_does_not_follow_rare_stalls():
    latency, _, _ = run(lambda call: 40 * MS if call % 20 == 19 else MS)
    assert latency.median == pytest.approx(1e-3)


@pytest.mark.parametrize(("microseconds", "calls"), [(0.5, 20), (3, 4), (10, 1), (11, 1)])
def test_calls_too_short_for_the_clock_are_timed_together(microseconds, calls):
    latency, _, _ = run(steady(microseconds / 1000), warmup_seconds=1e-3, min_seconds=1e-3)
    assert latency.calls_per_repeat == calls
    assert latency.median == pytest.approx(microseconds * 1e-6)
    assert latency.calls_per_repeat * latency.median * 1e9 >= SHORTEST_SAMPLE * 0.999


def test_the_collector_is_left_as_it_was():
    gc.disable()
    try:
        run(steady(1))
        assert not gc.isenabled()
    finally:
        gc.enable()
    run(steady(1))
    assert gc.isenabled()


def test_the_result_says_how_it_was_measured_and_survives_json():
    latency, session, _ = run(noisy(1, sigma=0.1))
    assert latency.session == session.info
    assert latency.shape == EXAMPLE.shape
    assert latency.machine.cores >= 1
    text = json.dumps(dataclasses.asdict(latency))
    assert TypeAdapter(Latency).validate_json(text) == latency


@pytest.mark.parametrize(
    "rule", [{"max_seconds": 0}, {"precision": 0}, {"min_repeats": 0}, {"warmup_seconds": -1}, {"min_seconds": -0.1}]
)
def test_senseless_rules_are_refused(rule):
    with pytest.raises(UsageError):
        StopRule(**rule)


def sessions(durations: dict[str, Callable[[int], float]], threads: int = 1) -> tuple[FakeClock, list[FakeSession]]:
    clock = FakeClock()
    fakes = [FakeSession(clock, duration, threads, name) for name, duration in durations.items()]
    for fake in fakes[1:]:
        fake.journal = fakes[0].journal
    return clock, fakes


def turns(journal: list[str]) -> str:
    """The journal without repetitions: AABBBA -> ABA."""
    return "".join(name for i, name in enumerate(journal) if i == 0 or journal[i - 1] != name)


def test_sessions_take_turns():
    clock, fakes = sessions({"A": steady(1), "B": steady(2), "C": steady(4)})
    result = compare(fakes, [EXAMPLE] * 3, clock=clock)
    order = turns(fakes[0].journal)
    assert order == "ABC" * (len(order) // 3)
    assert len(order) // 3 >= TURNS
    assert result.ratios == pytest.approx((1, 2, 4))
    assert result.intervals[0] == (1, 1)
    assert [latency.median for latency in result.latencies] == pytest.approx([1e-3, 2e-3, 4e-3])


def test_fast_sessions_take_as_many_turns_as_slow_ones():
    clock, fakes = sessions({"A": steady(0.1), "B": steady(0.1)})
    compare(fakes, [EXAMPLE] * 2, rule=StopRule(min_seconds=0), clock=clock)
    assert len(turns(fakes[0].journal)) == 2 * (1 + TURNS)  # one turn of each is the warm-up


def test_the_cap_of_a_comparison_grows_with_its_sessions():
    clock, fakes = sessions({"A": noisy(1, sigma=1.0), "B": noisy(1, sigma=1.0, seed=1)})
    result = compare(fakes, [EXAMPLE] * 2, rule=StopRule(warmup_seconds=0, max_seconds=0.5), clock=clock)
    assert 1e9 <= clock.now < 1.2e9
    assert not any(latency.converged for latency in result.latencies)


def test_a_drift_that_hits_both_leaves_the_ratio_alone():
    """The machine slows to a half on the way: medians move, the ratio does not."""
    clock = FakeClock()

    def slow() -> float:
        return 1 + min(1, clock.now / 2e9)

    fakes = [
        FakeSession(clock, lambda _: MS * slow(), name="A"),
        FakeSession(clock, lambda _: 3 * MS * slow(), name="B"),
    ]
    result = compare(fakes, [EXAMPLE] * 2, rule=StopRule(max_seconds=1, precision=0.001), clock=clock)
    low, high = result.intervals[1]
    assert result.latencies[0].p90 > 1.2 * result.latencies[0].p10
    assert low <= result.ratios[1] <= high
    assert 2.9 < low <= high < 3.1


def test_the_first_call_of_a_turn_is_not_timed():
    """A session is slow after another one ran, until its caches are warm again."""
    clock = FakeClock()
    journal: list[str] = []

    def cold_at_first(name: str) -> Callable[[int], float]:
        return lambda _: MS * (1 if journal and journal[-1] == name else 5)

    fakes = [FakeSession(clock, cold_at_first(name), name=name) for name in "AB"]
    for fake in fakes:
        fake.journal = journal
    result = compare(fakes, [EXAMPLE] * 2, clock=clock)
    assert [latency.p90 for latency in result.latencies] == pytest.approx([1e-3, 1e-3])


@pytest.mark.parametrize(("threads", "settle"), [(1, SETTLE), (2, SPIN)])
def test_spinning_threads_of_the_one_before_are_waited_for(threads, settle):
    clock = FakeClock()
    began = {"name": "", "at": 0}

    def disturbed(name: str) -> Callable[[int], float]:
        def duration(call: int) -> float:
            if began["name"] != name:
                began.update(name=name, at=clock.now)
            return MS * (2 if clock.now - began["at"] < settle * 0.9e9 else 1)

        return duration

    fakes = [FakeSession(clock, disturbed(name), threads, name) for name in "AB"]
    result = compare(fakes, [EXAMPLE] * 2, rule=StopRule(max_seconds=10), clock=clock)
    assert [latency.p90 for latency in result.latencies] == pytest.approx([1e-3, 1e-3])


def test_comparing_needs_an_example_for_each_session():
    clock, fakes = sessions({"A": steady(1), "B": steady(1)})
    with pytest.raises(ValueError, match="2 sessions and 1 examples"):
        compare(fakes, [EXAMPLE], clock=clock)
    with pytest.raises(ValueError, match="0 sessions"):
        compare([], [], clock=clock)

"""A measuring process whose runtime ends it at some blocks, for the tests of `profile_apart`."""

import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

from pocketcnn.graph import GraphNetwork
from pocketcnn.pipeline.latency import profile as profiling
from pocketcnn.runtimes.base import Numerics
from pocketcnn.targets import Target
from pocketcnn.targets.latency import predictor
from pocketcnn.targets.latency.kernels import split
from tests.support.fake_runtime import FakeClock, FakeRuntime

FATAL = "channel_shuffle"


class CrashingRuntime(FakeRuntime):
    """Takes the process along where a network has kernels of a kind."""

    def __init__(self, clock: FakeClock, fatal: str) -> None:
        super().__init__(clock)
        self.fatal = fatal

    def write(self, network: GraphNetwork, path: Path) -> Path:
        if any(self.fatal in group.kernel.kind for group in split(network.graph)):
            os.kill(os.getpid(), signal.SIGSEGV)
        return super().write(network, path)


def use(runtime: FakeRuntime) -> None:
    """Let this process measure with `runtime`."""
    profiling.get_runtime = lambda name: runtime  # type: ignore[assignment]
    predictor.get_runtime = lambda name: runtime  # type: ignore[assignment]


def crashing(
    pipe: Connection, target: Target, path: Path, seconds: float, numerics: tuple[Numerics, ...], seed: int
) -> None:
    """`profile_apart._work` with such a runtime."""
    _measure(FATAL, pipe, target, path, seconds, numerics, seed)


def always_crashing(
    pipe: Connection, target: Target, path: Path, seconds: float, numerics: tuple[Numerics, ...], seed: int
) -> None:
    """`profile_apart._work` with a runtime that runs nothing."""
    _measure("", pipe, target, path, seconds, numerics, seed)


def _measure(
    fatal: str,
    pipe: Connection,
    target: Target,
    path: Path,
    seconds: float,
    numerics: tuple[Numerics, ...],
    seed: int,
) -> None:
    clock = FakeClock()
    use(CrashingRuntime(clock, fatal))
    profiling.profile(
        target,
        path,
        seconds=seconds,
        numerics=numerics,
        seed=seed,
        progress=lambda *told: pipe.send(("progress", *told)),
        trying=lambda blocks, form: pipe.send(("trying", blocks, form)),
        clock=clock,
    )
    pipe.send(("done",))

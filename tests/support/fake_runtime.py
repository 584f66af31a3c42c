"""A runtime whose times are a formula, on a clock that only it moves: what a predictor should find can be known exactly."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pocketcnn.errors import PocketcnnError
from pocketcnn.graph import GraphNetwork
from pocketcnn.runtimes.base import FloatArray, SessionInfo
from pocketcnn.targets.latency.kernels import Kernel, split


class FakeClock:
    """Nanoseconds; moved by what runs."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


def network_cost(kernels: list[Kernel]) -> float:
    """Seconds of a call: a constant, a constant for each kernel, multiply-adds and values at their rates."""
    work = sum(kernel.madds / 50e9 + (kernel.read + kernel.written + kernel.weights) / 5e9 for kernel in kernels)
    return 5e-6 + 1e-6 * len(kernels) + work


class FakeSession:
    """Runs nothing, but takes time."""

    def __init__(self, clock: FakeClock, seconds: float, shape: tuple[int, ...], version: str, threads: int) -> None:
        self.info = SessionInfo("onnxruntime", version, threads)
        self.input_shape = (None, *shape)
        self._clock, self._seconds = clock, seconds

    def run(self, batch: FloatArray) -> FloatArray:
        self._clock.now += round(self._seconds * 1e9)
        return np.zeros((len(batch), 1), np.float32)

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        yield

    def close(self) -> None:
        """Nothing is held."""


class FakeRuntime:
    """Writes what a network costs as its artefact. `refuses` names an operation that it does not have."""

    name = "onnxruntime"
    suffix = ".json"
    companions: tuple[str, ...] = ()
    numerics = ("float32", "int8")

    def __init__(self, clock: FakeClock, *, version: str = "1.0", refuses: str = "") -> None:
        self.clock, self.version, self.refuses = clock, version, refuses

    def available(self) -> str | None:
        return None

    def write(self, network: GraphNetwork, path: Path) -> Path:
        kernels = [group.kernel for group in split(network.graph)]
        if any(kernel.kind == self.refuses for kernel in kernels):
            raise PocketcnnError(f"no {self.refuses} here")
        seconds = network_cost(kernels) * (0.5 if network.numerics else 1)
        path.write_text(json.dumps([seconds, network.graph.input_shape]))
        self.clock.now += 100_000_000
        return path

    def build(self, artefact: object, *, threads: int) -> FakeSession:
        seconds, shape = json.loads(Path(str(artefact)).read_text())
        return FakeSession(self.clock, seconds, tuple(shape), self.version, threads)

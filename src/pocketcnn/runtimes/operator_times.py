"""The time of each operator of a network, from the runtime's own profiler."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pocketcnn.runtimes.base import FloatArray


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """One operator of the network as executed by the runtime, after the runtime's graph optimizations.

    Attributes:
        name: the runtime's name for it; kind: the runtime's name for its operation.
        seconds: median over the runs; p10, p90: percentiles, in seconds. The resolution of profilers is 1 µs.
        origins: names of the operators in the file that it comes from, the most specific first; may be empty.
    """

    name: str
    kind: str
    seconds: float
    p10: float
    p90: float
    origins: tuple[str, ...]

    @classmethod
    def from_samples(
        cls, name: str, kind: str, samples: Sequence[float], origins: Iterable[str] = ()
    ) -> "OperatorTime":
        """The operator with these times in seconds, one per run."""
        p10, median, p90 = (float(value) for value in np.percentile(samples, [10, 50, 90]))
        return cls(name, kind, median, p10, p90, tuple(dict.fromkeys(filter(None, origins))))


class Profiler(Protocol):
    """Runs an ONNX model `runs` times after a warm-up, and returns its operators in execution order."""

    def __call__(self, model: bytes, batch: FloatArray, *, threads: int, runs: int) -> tuple[OperatorTime, ...]: ...


WARMUP = 5
"""Number of warm-up runs."""

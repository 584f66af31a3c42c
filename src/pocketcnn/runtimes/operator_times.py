"""What each operator of a network takes, as the runtime's own profiler sees it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pocketcnn.runtimes.base import FloatArray


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """One operator of the network as the runtime runs it, after its own optimizations.

    Attributes:
        name: the runtime's own; kind: its operation, in the runtime's words.
        seconds: the median over the runs; p10, p90: percentiles. A profiler's clock counts microseconds.
        origins: names of the file's operators that it stands for, the most telling first; may be empty.
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
        """The operator with these times in seconds, one a run."""
        p10, median, p90 = (float(value) for value in np.percentile(samples, [10, 50, 90]))
        return cls(name, kind, median, p10, p90, tuple(dict.fromkeys(filter(None, origins))))


class Profiler(Protocol):
    """Runs an ONNX model `runs` times after some that do not count, and returns its operators in the order they run."""

    def __call__(self, model: bytes, batch: FloatArray, *, threads: int, runs: int) -> tuple[OperatorTime, ...]: ...


WARMUP = 5
"""Runs that are not counted."""

"""The contract of a runtime: build a session from an artefact, run batches on it."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SessionInfo:
    """What runs: the runtime and its version, its threads, and the settings that differ from its defaults."""

    runtime: str
    version: str
    threads: int
    settings: Mapping[str, str] = field(default_factory=dict)


class Session(Protocol):
    """A network ready to run on a runtime with a fixed number of threads."""

    @property
    def info(self) -> SessionInfo: ...

    @property
    def input_shape(self) -> tuple[int | None, ...] | None:
        """(N, C, H, W) with None for a free axis, or None where the artefact does not say."""
        ...

    def run(self, batch: FloatArray) -> FloatArray:
        """Outputs (N, classes) for images (N, C, H, W).

        Raises:
            PocketcnnError: the batch does not fit the network, or the session is closed.
        """
        ...

    def active(self) -> AbstractContextManager[None]:
        """Within it, what the session needs of the whole process (such as torch's thread count) holds.

        `run` sees to that by itself; whoever times many calls enters it once, so that only the network is timed.
        """
        ...

    def close(self) -> None:
        """Free what the session holds. A second call does nothing."""
        ...


class Runtime(Protocol):
    """A library or program that executes networks."""

    @property
    def name(self) -> str: ...

    def available(self) -> str | None:
        """None if the runtime can be used here, else why not and what installs it."""
        ...

    def build(self, artefact: object, *, threads: int) -> Session:
        """A session that runs `artefact`, of the kind that this runtime takes, on `threads` threads.

        Raises:
            UsageError: `artefact` is not of that kind, or is a file that does not exist.
            PocketcnnError: the artefact is broken, or does not have one image input and one output.
        """
        ...

"""The contract of a runtime: write an artefact, build a session from it, run batches on it."""

import importlib.util
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from pocketcnn.graph.network import GraphNetwork

FloatArray = npt.NDArray[np.float32]

Numerics = Literal["float32", "int8"]


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
        """Outputs (N, classes) for images (N, C, H, W), whatever order the runtime keeps its axes in.

        Where a runtime takes one image at a time, its session runs the images of a batch one after another.

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


@dataclass(frozen=True)
class Deployment:
    """What whoever runs an artefact without this library must know.

    Attributes:
        channels_last: whether it takes images as (N, H, W, C), not (N, C, H, W).
        note: said of every artefact; int8_note: said of int8 ones too.
    """

    channels_last: bool = False
    note: str = ""
    int8_note: str = ""

    def notes(self, numerics: str) -> tuple[str, ...]:
        """What to know about an artefact in `numerics`."""
        return tuple(note for note in (self.note, "" if numerics == "float32" else self.int8_note) if note)


class Runtime(Protocol):
    """A library or program that executes networks.

    Importing a runtime's module, and building a session, loads the runtime's library and nothing else that is heavy: not
    torch, not the graph, so that a cold start is the runtime's own. Only `write` may load more.
    """

    @property
    def name(self) -> str: ...

    @property
    def distribution(self) -> str:
        """The package that holds it, by its name on PyPI."""
        ...

    @property
    def library(self) -> str:
        """The module that a user of the runtime imports to run a network."""
        ...

    @property
    def suffix(self) -> str:
        """How the name of its artefact ends, such as ``.onnx``."""
        ...

    @property
    def companions(self) -> tuple[str, ...]:
        """Endings of the files that belong to an artefact beside it under its stem, such as ncnn's ``.bin``."""
        ...

    @property
    def numerics(self) -> tuple[Numerics, ...]:
        """The forms of a network that it computes in, not only simulates."""
        ...

    @property
    def deployment(self) -> "Deployment":
        """What whoever runs its artefact without this library must know."""
        ...

    def available(self) -> str | None:
        """None if the runtime can be used here, else why not and what installs it. Imports nothing heavy."""
        ...

    def write(self, network: "GraphNetwork", path: Path) -> Path:
        """Write `network` as this runtime's artefact to `path` (and companions), atomically; returns `path`.

        The artefact is float32 or int8 as the network's numerics say; batch normalization is folded.

        Raises:
            MissingExtra: writing needs a library that is absent.
            PocketcnnError: the runtime cannot take the network (the layer and its operation are named) or its numerics,
                or the disk cannot be written.
        """
        ...

    def build(self, artefact: object, *, threads: int) -> Session:
        """A session that runs `artefact`, of the kind that this runtime takes, on `threads` threads.

        Raises:
            UsageError: `artefact` is not of that kind, or is a file that does not exist.
            MissingExtra: the runtime is absent.
            PocketcnnError: the artefact is broken, or does not have one image input and one output.
        """
        ...


def why_absent(library: str, extra: str) -> str | None:
    """None if `library` can be found, else what installs it. It is not imported."""
    try:
        found = importlib.util.find_spec(library)
    except ModuleNotFoundError:  # the package that `library` lies in
        found = None
    return None if found else f"it is not installed: pip install 'pocketcnn[{extra}]'"


def artefact_files(runtime: Runtime, artefact: Path) -> tuple[Path, ...]:
    """The files that an artefact of `runtime` consists of, itself first."""
    return artefact, *(artefact.with_suffix(suffix) for suffix in runtime.companions)

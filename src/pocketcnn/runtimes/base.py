"""The interface of a runtime: write an artefact, build a session from it, run batches on the session."""

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
    """The runtime, its version, its number of threads, and the settings that differ from its defaults."""

    runtime: str
    version: str
    threads: int
    settings: Mapping[str, str] = field(default_factory=dict)


class Session(Protocol):
    """A network that is loaded in a runtime with a fixed number of threads."""

    @property
    def info(self) -> SessionInfo: ...

    @property
    def input_shape(self) -> tuple[int | None, ...] | None:
        """(N, C, H, W) with None for a free axis; None if the artefact does not declare its input shape."""
        ...

    def run(self, batch: FloatArray) -> FloatArray:
        """Outputs (N, classes) for images (N, C, H, W), also if the runtime's own layout is channels last.

        If a runtime takes one image at a time, its session runs the images of a batch one after another.

        Raises:
            PocketcnnError: the batch does not match the network, or the session is closed.
        """
        ...

    def active(self) -> AbstractContextManager[None]:
        """A context in which process-wide settings of the session (such as torch's thread count) are applied.

        `run` enters it by itself. To time many calls, enter it once, so that only the network is timed.
        """
        ...

    def close(self) -> None:
        """Free the session's resources. A second call does nothing."""
        ...


@dataclass(frozen=True)
class Deployment:
    """What one must know to run an artefact without this library.

    Attributes:
        channels_last: whether it takes images (N, H, W, C) instead of (N, C, H, W).
        note: for every artefact; int8_note: an additional note for int8 artefacts.
    """

    channels_last: bool = False
    note: str = ""
    int8_note: str = ""

    def notes(self, numerics: str) -> tuple[str, ...]:
        """The notes for an artefact in `numerics`."""
        return tuple(note for note in (self.note, "" if numerics == "float32" else self.int8_note) if note)


class Runtime(Protocol):
    """A library that executes networks.

    Importing a runtime's module and building a session imports no heavy library except the runtime's own (not torch, not
    the graph), so that a cold start measures the runtime alone. Only `write` may import more.
    """

    @property
    def name(self) -> str: ...

    @property
    def distribution(self) -> str:
        """Name of the runtime's package on PyPI."""
        ...

    @property
    def library(self) -> str:
        """The Python module to import for running a network."""
        ...

    @property
    def suffix(self) -> str:
        """Suffix of its artefacts, such as ``.onnx``."""
        ...

    @property
    def companions(self) -> tuple[str, ...]:
        """Suffixes of further files of an artefact, with the same stem, such as ncnn's ``.bin``."""
        ...

    @property
    def numerics(self) -> tuple[Numerics, ...]:
        """The precisions in which it computes natively, not by simulation."""
        ...

    @property
    def deployment(self) -> "Deployment":
        """What one must know to run its artefacts without this library."""
        ...

    def available(self) -> str | None:
        """None if the runtime is available, else the reason and the command that installs it. Imports nothing heavy."""
        ...

    def write(self, network: "GraphNetwork", path: Path) -> Path:
        """Write `network` as an artefact of this runtime to `path` (and companions), atomically; returns `path`.

        The artefact is int8 if the network is quantized, else float32. Batch normalization is folded.

        Raises:
            MissingExtra: a library for writing is not installed.
            PocketcnnError: the runtime does not support a layer (named in the message) or the quantization, or the file
                cannot be written.
        """
        ...

    def build(self, artefact: object, *, threads: int) -> Session:
        """A session that runs `artefact` on `threads` threads.

        Raises:
            UsageError: this runtime does not take such an artefact, or the file does not exist.
            MissingExtra: the runtime is not installed.
            PocketcnnError: the artefact is damaged, or does not have exactly one image input and one output.
        """
        ...


def why_absent(library: str, extra: str) -> str | None:
    """None if `library` is installed, else the command that installs it. The library is not imported."""
    try:
        found = importlib.util.find_spec(library)
    except ModuleNotFoundError:  # the parent package of `library`
        found = None
    return None if found else f"it is not installed: pip install 'pocketcnn[{extra}]'"


def artefact_files(runtime: Runtime, artefact: Path) -> tuple[Path, ...]:
    """All files of an artefact of `runtime`, the artefact itself first."""
    return artefact, *(artefact.with_suffix(suffix) for suffix in runtime.companions)

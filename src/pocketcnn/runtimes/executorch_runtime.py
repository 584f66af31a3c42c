"""ExecuTorch on the CPU with the XNNPACK backend: one image at a time, float32 or int8."""

import contextlib
import os
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np

from pocketcnn.errors import MissingExtra, PocketcnnError, UsageError
from pocketcnn.formats.executorch.quiet import quiet, quiet_native
from pocketcnn.runtimes.base import Deployment, FloatArray, Numerics, SessionInfo, why_absent

if TYPE_CHECKING:
    from pocketcnn.graph.network import GraphNetwork

METHOD = "forward"
FLOAT32 = 6
"""ExecuTorch's code for the dtype float32."""


class ExecuTorchRuntime:
    """Runs ExecuTorch programs. Artefact: the path of a .pte file."""

    name = "executorch"
    distribution = "executorch"
    library = "executorch.runtime"
    suffix = ".pte"
    companions: tuple[str, ...] = ()
    numerics: tuple[Numerics, ...] = ("float32", "int8")
    deployment = Deployment()

    def available(self) -> str | None:
        return why_absent("executorch", "executorch")

    def write(self, network: "GraphNetwork", path: Path) -> Path:
        from pocketcnn.formats.executorch import write_executorch

        return write_executorch(path, network.graph)

    def build(self, artefact: object, *, threads: int) -> "ExecuTorchSession":
        if not isinstance(artefact, str | os.PathLike):
            raise UsageError(
                f"The runtime executorch takes a .pte file, not a {type(artefact).__name__}. "
                "Export the network first: pocketcnn.export(network, to='executorch', out='model.pte')."
            )
        if not Path(artefact).is_file():
            raise UsageError(f"There is no file {os.fspath(artefact)}.")
        if self.available() is not None:
            raise MissingExtra("The runtime executorch", "executorch")
        return ExecuTorchSession(Path(artefact), threads)


class ExecuTorchSession:
    """One loaded method. ExecuTorch has one thread pool per process; within `active` it has `threads` threads."""

    def __init__(self, path: Path, threads: int) -> None:
        self._path, self._threads = path, threads
        self._loaded: tuple[Any, Any] | None = None
        self._closed = False
        with self.active():
            self.input_shape = _image_input(self._method(), path)
        settings = {"backend": "XNNPACK", "batch": "1", "thread pool": "the process's"}
        self.info = SessionInfo("executorch", version("executorch"), threads, settings)

    def run(self, batch: FloatArray) -> FloatArray:
        import torch

        if self._closed:
            raise PocketcnnError("This session is closed. Build another.")
        if batch.ndim != 4 or not len(batch) or batch.shape[1:] != self.input_shape[1:]:
            expected = ", ".join(map(str, self.input_shape[1:]))
            raise PocketcnnError(
                f"ExecuTorch cannot run a batch of shape {batch.shape}: the network takes (N, {expected})."
            )
        images = torch.from_numpy(np.require(batch, np.float32, ["C", "W"]))  # PyTorch warns about read-only arrays
        with self.active():
            method = self._method()
            return np.concatenate([method.execute([image])[0].numpy() for image in torch.split(images, 1)])

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Set the number of threads of the process's pool to this session's, and load the method."""
        _POOL.resize(self._threads)
        if not self._closed:
            self._method()
        yield

    def unload(self) -> None:
        """Unload the method, which refers to the pool with which it was loaded; the next run loads it again."""
        self._loaded = None

    def close(self) -> None:
        self._closed = True
        self.unload()

    def _method(self) -> Any:
        if self._loaded is None:
            self._loaded = _load(self._path)
            _POOL.sessions.add(self)
        return self._loaded[1]


class _ThreadPool:
    """ExecuTorch's thread pool. A method that was loaded before the pool was replaced crashes, so it is loaded again."""

    def __init__(self) -> None:
        self.sessions: WeakSet[ExecuTorchSession] = WeakSet()

    def resize(self, threads: int) -> None:
        """Set the number of threads; unloads the loaded method if the number changes."""
        library = _library()
        if library._threadpool_get_thread_count() == threads:
            return
        for session in self.sessions:
            session.unload()
        self.sessions.clear()
        with quiet_native():
            library._unsafe_reset_threadpool(threads)


_POOL = _ThreadPool()
"""The only instance, because the library has one pool per process."""


@cache
def _library() -> Any:
    with quiet(), quiet_native():
        from executorch.extension.pybindings import portable_lib

        portable_lib._threadpool_get_thread_count()  # the first call inspects the CPU and prints to stderr
    return portable_lib


def _load(path: Path) -> tuple[Any, Any]:
    """Program and method. The method reads from the program, so both must be kept alive."""
    with quiet():
        from executorch.runtime import Runtime
    with quiet_native() as lines:
        try:
            program = Runtime.get().load_program(path)
            return program, program.load_method(METHOD)
        except Exception as error:  # pybind11 translates C++ exceptions to several Python types
            failure = error
    reason = next((line.partition("] ")[2] for line in lines if "ailed" in line), str(failure))
    raise PocketcnnError(f"ExecuTorch cannot load {path}: {reason}") from failure


def _image_input(method: Any, path: Path) -> tuple[int | None, ...]:
    """The shape (N, C, H, W) of the single input, with N free because images run one after another."""
    meta = method.metadata
    if (meta.num_inputs(), meta.num_outputs()) != (1, 1):
        raise PocketcnnError(
            f"{path} has {meta.num_inputs()} inputs and {meta.num_outputs()} outputs; it must have one of each."
        )
    image = meta.input_tensor_meta(0)
    sizes = tuple(image.sizes())
    if len(sizes) != 4 or sizes[0] != 1 or image.dtype() != FLOAT32:
        raise PocketcnnError(f"The input of {path} has the shape {sizes}; it must be one float32 image (1, C, H, W).")
    return (None, *sizes[1:])

"""One process at a time for each folder or file of results, so that two runs do not overwrite each other's work."""

import functools
import inspect
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

from filelock import FileLock, Timeout

from pocketcnn.errors import PocketcnnError

LOCK_FILE = ".pocketcnn.lock"
"""File in the folder that is locked. The system releases the lock when its process ends, however that happens."""

P = ParamSpec("P")
R = TypeVar("R")


class FolderInUse(PocketcnnError):
    """Another process writes to the folder or the file."""


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Inside, no other process can enter the same folder, which is created if needed.

    Raises:
        FolderInUse: another process is inside.
        PocketcnnError: the folder cannot be written.
    """
    with _locked(folder / LOCK_FILE, f"{folder}", "another folder (--out)"):
        yield


@contextmanager
def exclusive_file(path: Path) -> Iterator[None]:
    """The same for one file, in whose folder other files may be written.

    Raises:
        FolderInUse: another process is inside.
        PocketcnnError: the folder of the file cannot be written.
    """
    with _locked(path.with_name(f".{path.name}{LOCK_FILE}"), f"{path}", "another file (--out)"):
        yield


def exclusive_beside(path: Path) -> AbstractContextManager[None]:
    """`exclusive` in the folder of a file, for work whose checkpoints lie beside its result."""
    return exclusive(path.parent)


@contextmanager
def _locked(path: Path, what: str, other: str) -> Iterator[None]:
    folder, is_new = path.parent, not path.parent.exists()
    lock = FileLock(path, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise FolderInUse(
            f"{_owner(path)} is writing to {what}. Wait until it has ended, stop it, or choose {other}."
        ) from None
    except OSError as error:
        raise PocketcnnError(f"Cannot write to {what}: {error.strerror or error}.") from error
    try:
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        path.write_text(f"process {os.getpid()} on {socket.gethostname()}, since {since}", encoding="utf-8")
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.release()
        if is_new:
            with suppress(OSError):  # it has files
                folder.rmdir()


def writes_to(
    argument: str, lock: Callable[[Path], AbstractContextManager[None]] = exclusive
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """The decorated function runs alone in the folder, or on the file, that it is given as `argument`; see `exclusive`."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def alone(*args: P.args, **kwargs: P.kwargs) -> R:
            folder = signature.bind(*args, **kwargs).arguments[argument]
            with lock(Path(folder)):
                return function(*args, **kwargs)

        return alone

    return decorate


def _owner(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError:
        text = ""
    return f"Another run ({text})" if text else "Another run"

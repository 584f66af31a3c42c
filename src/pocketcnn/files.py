"""Atomic writes: a file or folder is complete or absent, also if the writing process is interrupted."""

import contextlib
import errno
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from pocketcnn.errors import PocketcnnError


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`. On success it replaces `path`; on failure it is removed.

    Raises:
        PocketcnnError: the disk is full or the folder is not writable. An existing file is left unchanged.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise _readable(error, path) from error
    part = Path(name)
    try:
        yield part
        with part.open("rb+") as stream:
            os.fsync(stream.fileno())
        part.chmod(0o666 & ~_umask())  # mkstemp makes the file private; a result is meant to be shared
        part.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _readable(error, path) from error
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`, which must be absent or empty. On success it is renamed to `path`.

    Raises:
        PocketcnnError: the disk is full, `path` is not empty, or its parent is not writable. Nothing is left behind.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", suffix=".part", dir=path.parent) as name:
            complete = Path(name) / "whole"  # mkdir applies the umask; the temporary folder itself is private
            complete.mkdir()
            yield complete
            if path.is_dir():
                path.rmdir()
            complete.rename(path)
            _sync_folder(path.parent)
    except OSError as error:
        raise _readable(error, path) from error


@contextlib.contextmanager
def atomic_files(path: Path) -> Iterator[Path]:
    """Yield a temporary path with the name of `path`, in a temporary folder beside it.

    On success all files of the folder are moved beside `path`, that of its name last; on failure they are removed.

    Raises:
        PocketcnnError: the disk is full or the folder is not writable.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    except OSError as error:
        raise _readable(error, path) from error
    try:
        yield folder / path.name
        for part in sorted(folder.iterdir(), key=lambda part: part.name == path.name):
            part.replace(path.with_name(part.name))
    except OSError as error:
        raise _readable(error, path) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` (UTF-8) to `path` atomically."""
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` atomically."""
    with atomic_path(path) as part:
        part.write_bytes(data)


def _sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk, so that a rename survives a power failure."""
    with contextlib.suppress(OSError):  # some file systems and Windows cannot
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _readable(error: OSError, path: Path) -> PocketcnnError:
    reasons = {
        errno.ENOSPC: "the disk is full. Free some space and run the same command again",
        errno.EDQUOT: "the disk quota is used up. Free some space and run the same command again",
        errno.EACCES: "permission denied. Choose a folder that you may write to",
        errno.EROFS: "the file system is read-only. Choose another folder",
        errno.ENOTDIR: "a part of that path is a file, not a folder. Choose another folder",
    }
    reason = reasons.get(error.errno or 0, error.strerror or str(error))
    return PocketcnnError(f"Cannot write {path}: {reason}.")


def plain(value: object) -> Any:
    """`value` as plain data for JSON: records become objects, paths strings, NaN and infinities null.

    Raises:
        TypeError: a value of a type that JSON cannot represent.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if hasattr(value, "model_dump"):
        return plain(value.model_dump(mode="json"))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str | int) or value is None:
        return value
    if isinstance(value, PathLike):
        return fspath(value)
    if isinstance(value, Sequence | set | frozenset):
        return [plain(item) for item in value]
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")

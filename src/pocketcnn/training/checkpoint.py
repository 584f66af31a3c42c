"""Checkpoints: each is written as a complete file under its own name, so that a full disk or a power failure never destroys
the last one.

They hold tensors and plain values only, and are read with ``torch.load(weights_only=True)``, which executes no code from the
file. The two newest are kept. A damaged one is renamed, and the one before it is used.
"""

import io
import pickle
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.files import write_bytes

FORMAT = 1
KEPT = 2
_NAME = re.compile(r"step-(\d{9})\.pt")


@dataclass(frozen=True)
class LoadedCheckpoint:
    """The content of a checkpoint, and newer damaged files that were renamed."""

    path: Path
    state: dict[str, Any]
    damaged: tuple[Path, ...]


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in `folder`, newest first."""
    found = folder.glob("step-*.pt") if folder.is_dir() else ()
    return sorted((path for path in found if _NAME.fullmatch(path.name)), reverse=True)


def save_checkpoint(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write `state` as the checkpoint of an optimizer step, then remove all but the two newest.

    Raises:
        PocketcnnError: the disk is full or the folder is not writable; earlier checkpoints are not changed.
    """
    # Serialized in memory first: torch reports a full disk as an unspecific RuntimeError.
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, **state}, buffer)
    path = folder / f"step-{step:09d}.pt"
    write_bytes(path, buffer.getvalue())
    for old in checkpoints(folder)[KEPT:]:
        old.unlink(missing_ok=True)
    return path


def load_newest(folder: Path) -> LoadedCheckpoint | None:
    """The newest readable checkpoint; None if there is none at all.

    Raises:
        PocketcnnError: all checkpoints are damaged.
        UsageError: the newest was written by a later version of pocketcnn.
    """
    reasons: list[tuple[Path, str]] = []
    for path in checkpoints(folder):
        try:
            state = _read(path)
        except PocketcnnError:
            raise
        except Exception as error:  # any error of a damaged file: the file before it may be intact
            reasons.append((path, _reason(error)))
            continue
        return LoadedCheckpoint(path, state, tuple(_put_aside(bad) for bad, _ in reasons))
    if reasons:
        listed = "; ".join(f"{path.name} ({reason})" for path, reason in reasons)
        raise PocketcnnError(
            f"No checkpoint in {folder} can be read: {listed}. Remove the folder, or train into another folder."
        )
    return None


def _read(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:  # torch does not compare the checksums
        bad = archive.testzip()
    if bad is not None:
        raise pickle.UnpicklingError(f"wrong checksum of {bad}")
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or not isinstance(state.get("format"), int):
        raise pickle.UnpicklingError("not a checkpoint of a training")
    if state["format"] > FORMAT:
        raise UsageError(f"{path} was written by a later version of pocketcnn. Install that version to resume.")
    return state


def _reason(error: Exception) -> str:
    """The first line of an error. PyTorch's advice to load a file that may execute code is not passed on."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return "it holds objects that no checkpoint has" if "weights_only" in str(error) else text


def _put_aside(path: Path) -> Path:
    """Rename a damaged file, so that it is not read or counted again."""
    return path.replace(path.with_suffix(".damaged"))

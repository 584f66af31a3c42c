"""Logs scalars to TensorBoard, if it is installed."""

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pocketcnn.training.history import EpochRecord
from pocketcnn.training.progress import Progress


class ScalarLog:
    """Writes one point per epoch. If writing fails, it stops with a note, and the training continues."""

    def __init__(self, writer: Any, progress: Progress) -> None:
        self._writer = writer
        self._progress = progress

    def epoch(self, record: EpochRecord) -> None:
        self._guarded(self._write, record)

    def close(self) -> None:
        self._guarded(lambda writer, _: writer.close(), None)

    def _write(self, writer: Any, record: EpochRecord) -> None:
        scalars = {
            "loss/train": record.loss,
            "loss/val": record.val_loss,
            "accuracy/val": record.val_accuracy,
            "learning_rate": record.learning_rate,
            "seconds": record.seconds,
        }
        for name, value in scalars.items():
            writer.add_scalar(name, value, record.epoch)

    def _guarded(self, write: Any, record: EpochRecord | None) -> None:
        if self._writer is None:
            return
        try:
            write(self._writer, record)
        except OSError as error:
            self._writer = None
            self._progress.note(f"The TensorBoard log stops here: {error.strerror or error}.")


@contextlib.contextmanager
def scalar_log(out: Path | None, progress: Progress, *, first_epoch: int) -> Iterator[ScalarLog]:
    """A log in `out`/tensorboard starting at `first_epoch` (later points of an interrupted run are dropped).

    Without `out` or without the extra "tensorboard" it writes nothing.
    """
    log = ScalarLog(_writer(out, first_epoch, progress), progress)
    try:
        yield log
    finally:
        log.close()


def _writer(out: Path | None, first_epoch: int, progress: Progress) -> Any:
    if out is None or importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    try:
        return SummaryWriter(str(out / "tensorboard"), purge_step=first_epoch)
    except OSError as error:
        progress.note(f"There is no TensorBoard log: {error.strerror or error}.")
        return None

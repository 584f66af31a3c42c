"""Progress display of a training: none, a progress bar, or one line per epoch."""

import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from torch import Tensor

from pocketcnn.training.history import EpochRecord


class Progress(Protocol):
    """Receives the progress of a training. It is entered when the training begins and left when it ends."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def start(self, *, epochs: int, steps_per_epoch: int, steps_done: int) -> None:
        """The size of the training, and the finished steps of a resumed one."""

    def step(self, epoch: int, loss: Tensor) -> None:
        """An optimizer step is done. Read `loss` only to display it, because that synchronizes with the device."""

    def epoch(self, record: EpochRecord) -> None:
        """An epoch was trained and validated."""

    def note(self, text: str) -> None:
        """A message for the user."""


class QuietProgress:
    """Displays nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def start(self, *, epochs: int, steps_per_epoch: int, steps_done: int) -> None: ...
    def step(self, epoch: int, loss: Tensor) -> None: ...
    def epoch(self, record: EpochRecord) -> None: ...
    def note(self, text: str) -> None: ...


class ConsoleProgress:
    """A progress bar with the remaining time on a terminal; elsewhere (a log file, CI) one line per epoch.

    It writes to the error stream, so that the output of a command can be piped.
    """

    REDRAW_SECONDS = 0.25  # each redraw takes some milliseconds from the training

    def __init__(self, title: str = "training", console: Console | None = None) -> None:
        self.title = title
        self.console = console or Console(stderr=True)
        self._epochs = self._pending = 0
        self._drawn = float("-inf")
        self._best = ""
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            refresh_per_second=1 / self.REDRAW_SECONDS,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._task = self._bar.add_task(title, total=None, figures="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def start(self, *, epochs: int, steps_per_epoch: int, steps_done: int) -> None:
        self._epochs, self._pending = epochs, 0
        self._bar.reset(self._task, total=epochs * steps_per_epoch, completed=steps_done)

    def step(self, epoch: int, loss: Tensor) -> None:
        self._pending += 1
        now = time.monotonic()
        if now - self._drawn < self.REDRAW_SECONDS:
            return
        self._drawn = now
        description = f"{self.title} · epoch {epoch}/{self._epochs}"
        figures = f"loss {float(loss):.3f}{self._best}"
        self._bar.update(self._task, advance=self._pending, description=description, figures=figures)
        self._pending = 0

    def epoch(self, record: EpochRecord) -> None:
        self._best = f" · val {record.val_accuracy:.1%}"
        if not self.console.is_terminal:
            self.console.print(
                f"{self.title}: epoch {record.epoch}/{self._epochs}, loss {record.loss:.4f}, "
                f"val accuracy {record.val_accuracy:.2%}, {record.seconds:.1f} s",
                highlight=False,
                soft_wrap=True,
            )

    def note(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

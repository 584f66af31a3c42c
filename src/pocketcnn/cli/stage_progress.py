"""The progress display of the trainings inside `fit`, `compress` and `search`: bars on a terminal, else one line each."""

import time
from types import TracebackType
from typing import Self

from pocketcnn.cli.console import Console
from pocketcnn.training import ConsoleProgress, EpochRecord, Progress, QuietProgress


class OneLine(QuietProgress):
    """Prints one line when the training has ended: epochs, best accuracy, and duration in seconds."""

    def __init__(self, title: str, console: Console) -> None:
        self.title, self.console = title, console
        self._epochs = 0
        self._best = 0.0
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        return self

    def epoch(self, record: EpochRecord) -> None:
        self._epochs = record.epoch
        self._best = max(self._best, record.val_accuracy)

    def note(self, text: str) -> None:
        self.console.print(text, soft_wrap=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self._epochs:
            seconds = time.monotonic() - self._began
            self.console.print(
                f"{self.title}: {self._epochs} epochs, best val accuracy {self._best:.2%}, {seconds:.0f} s",
                soft_wrap=True,
            )


def stage_progress(title: str) -> Progress:
    """The progress display of the training `title`, on the error stream."""
    console = Console(stderr=True)
    return ConsoleProgress(title, console) if console.is_terminal else OneLine(title, console)

"""The progress display of a profile on the error stream: a bar on a terminal, else a few lines."""

from types import TracebackType
from typing import Self

from pocketcnn.cli.console import Console

LINES = 5
"""Number of lines if the error stream is not a terminal."""


class ProfileProgress:
    """Shows the seconds spent and available, and the number of measurements."""

    def __init__(self, title: str) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.title, self.console = title, Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[points]} measurements"))
        self._bar = Progress(*columns, TimeRemainingColumn(), console=self.console, transient=True)
        self._task = self._bar.add_task(title, total=None, points=0)
        self._said = 0.0

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._bar.start()
        return self

    def advance(self, spent: float, budget: float, points: int) -> None:
        """Called after each measurement."""
        if self.console.is_terminal:
            self._bar.update(self._task, completed=min(spent, budget), total=budget, points=points)
        elif spent - self._said >= budget / LINES:
            self._said = spent
            self.console.print(f"{self.title}: {points} measurements in {spent:.0f} of {budget:.0f} s", soft_wrap=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:
            self._bar.stop()

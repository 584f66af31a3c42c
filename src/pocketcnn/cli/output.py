"""What the verbs print: the result on standard output, as tables or as one JSON document; all else on the error stream."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pocketcnn.files import plain

if TYPE_CHECKING:
    from pocketcnn.cli.console import Console
    from pocketcnn.training import Progress


class Output:
    """Where one command writes. With `as_json`, standard output gets the document and nothing else."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json

    def json(self, document: object) -> None:
        """The result as one JSON document, if that is asked for."""
        if self.as_json:
            text = json.dumps(plain(document), indent=2, allow_nan=False)
            sys.stdout.write(f"{text}\n")

    def print(self, text: str = "") -> None:
        """A line of the result for people."""
        if not self.as_json:
            _console().print(text, soft_wrap=True)

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "") -> None:
        """A table for people. Columns whose headings begin with ``>`` are numbers, aligned to the right."""
        if self.as_json:
            return
        console = _console()
        table = console.new_table(show_header=any(headings))
        for heading in headings:
            name = heading.removeprefix(">")
            table.add_column(name, justify="right" if name != heading else "left", overflow="fold")
        for row in rows:
            table.add_row(*(str(cell) for cell in row))
        if title:
            self.print(f"\n{title}")
        console.print_table(table)

    def say(self, text: str) -> None:
        """Something to know while the work goes on; never part of the result."""
        _console(stderr=True).print(text, soft_wrap=True)

    def progress(self, title: str) -> "Progress":
        """The display of one training, on the error stream."""
        from pocketcnn.training import ConsoleProgress

        return ConsoleProgress(title, _console(stderr=True))


def percent(share: float) -> str:
    """``97.25 %``."""
    return f"{share:.2%}".replace("%", " %")


def _console(*, stderr: bool = False) -> "Console":
    from pocketcnn.cli.console import Console  # imports rich, which `--help` does without

    return Console(stderr=stderr)

"""Output of the verbs: results on standard output, as tables or as one JSON document; messages on the error stream."""

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pocketcnn.files import plain

if TYPE_CHECKING:
    from pocketcnn.cli.console import Console
    from pocketcnn.training import Progress


class Output:
    """The output of one command. With `as_json`, standard output contains the JSON document only."""

    def __init__(self, as_json: bool = False) -> None:
        self.as_json = as_json

    def json(self, document: object) -> None:
        """Print the result as one JSON document, if `as_json` is set."""
        if self.as_json:
            text = json.dumps(plain(document), indent=2, allow_nan=False)
            sys.stdout.write(f"{text}\n")

    def print(self, text: str = "") -> None:
        """Print a line of the result, unless `as_json` is set."""
        if not self.as_json:
            _console().print(text, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print a warning on the result with it, or on the error stream if `as_json` is set."""
        (self.say if self.as_json else self.print)(f"WARNING: {text}")

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "") -> None:
        """Print a table, unless `as_json` is set. Columns whose headings begin with ``>`` are aligned to the right."""
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
        """Print a status message on the error stream; it is not part of the result."""
        _console(stderr=True).print(text, soft_wrap=True)

    def progress(self, title: str) -> "Progress":
        """The progress display of one training, on the error stream."""
        from pocketcnn.training import ConsoleProgress

        return ConsoleProgress(title, _console(stderr=True))


def percent(share: float) -> str:
    """``97.25 %``."""
    return f"{share:.2%}".replace("%", " %")


def _console(*, stderr: bool = False) -> "Console":
    from pocketcnn.cli.console import Console  # imports rich, which is not needed for `--help`

    return Console(stderr=stderr)

"""The console of the command line, based on rich."""

from typing import NoReturn

from rich import box
from rich.console import Console as RichConsole
from rich.table import Table

UNBOUNDED = 10_000
"""Width of an output that is not a terminal, in columns, so that nothing is wrapped or cut."""


class Console(RichConsole):
    """A console on the current standard output or error stream.

    Text is never interpreted as markup, because it may contain names of files and classes.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)
        if not self.is_terminal:
            self.width = UNBOUNDED

    def on_broken_pipe(self) -> NoReturn:
        """Raise the error, which the command line handles; rich would exit the program."""
        raise BrokenPipeError

    def new_table(self, *, show_header: bool) -> Table:
        """A table, without lines if the output is not a terminal."""
        style = box.SIMPLE_HEAD if self.is_terminal else None
        return Table(box=style, pad_edge=False, show_edge=False, show_header=show_header)

    def print_table(self, table: Table) -> None:
        """Print `table`, without trailing blanks if the output is not a terminal."""
        if self.is_terminal:
            self.print(table)
            return
        with self.capture() as drawn:
            self.print(table)
        for line in drawn.get().splitlines():
            self.out(line.rstrip(), highlight=False)

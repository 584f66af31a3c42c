"""rich's console as the command line uses it."""

from typing import NoReturn

from rich import box
from rich.console import Console as RichConsole
from rich.table import Table

UNBOUNDED = 10_000
"""Columns of an output that is not a terminal: nothing is wrapped or cut there."""


class Console(RichConsole):
    """A console on the standard output or error stream as it is now.

    Names of files and classes are printed as they are, never read as markup.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False)
        if not self.is_terminal:
            self.width = UNBOUNDED

    def on_broken_pipe(self) -> NoReturn:
        """Leave it to the command line, which ends quietly; rich would end the program itself."""
        raise BrokenPipeError

    def new_table(self, *, show_header: bool) -> Table:
        """Without any drawing where a program may read it."""
        style = box.SIMPLE_HEAD if self.is_terminal else None
        return Table(box=style, pad_edge=False, show_edge=False, show_header=show_header)

    def print_table(self, table: Table) -> None:
        """Print `table`; the blanks that fill up its last column are for terminals only."""
        if self.is_terminal:
            self.print(table)
            return
        with self.capture() as drawn:
            self.print(table)
        for line in drawn.get().splitlines():
            self.out(line.rstrip(), highlight=False)

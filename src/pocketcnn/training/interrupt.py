"""Ctrl-C is deferred to the end of a step, where weights, optimizer and random streams are consistent and can be saved."""

import contextlib
import signal
import threading
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import TypeVar

T = TypeVar("T")


class StopRequested(Exception):
    """The user pressed Ctrl-C, and the state is consistent here."""


class Interrupts:
    """Records that the user pressed Ctrl-C."""

    def __init__(self) -> None:
        self.requested = False

    def check(self) -> None:
        """Raise `StopRequested` if Ctrl-C was pressed."""
        if self.requested:
            raise StopRequested

    def watching(self, items: Iterable[T]) -> Iterator[T]:
        """Iterate over `items`, with a check before each."""
        for item in items:
            self.check()
            yield item


@contextlib.contextmanager
def deferred_interrupts() -> Iterator[Interrupts]:
    """Defer Ctrl-C until `check` is called; a second Ctrl-C raises `KeyboardInterrupt` at once.

    Only the main thread can set signal handlers (other threads do not receive Ctrl-C). A process that ignores Ctrl-C
    continues to ignore it.
    """
    interrupts = Interrupts()
    before = signal.getsignal(signal.SIGINT)
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or before in (None, signal.SIG_IGN):
        yield interrupts
        return

    def remember(_number: int, _frame: FrameType | None) -> None:
        interrupts.requested = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, remember)
    try:
        yield interrupts
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupts.requested:  # pressed after the last check
        raise KeyboardInterrupt

"""Signals to stop are deferred to the end of a step, where the whole state is consistent and can be saved."""

import contextlib
import signal
import threading
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""The signals that ask a process to stop: Ctrl-C, the request of a system or scheduler, and a closed terminal."""


class StopRequested(Exception):
    """The process was asked to stop, and the state is consistent here."""


class Interrupts:
    """Records that the process was asked to stop."""

    def __init__(self) -> None:
        self.requested = False

    def check(self) -> None:
        """Raise `StopRequested` if the process was asked to stop."""
        if self.requested:
            raise StopRequested

    def watching(self, items: Iterable[T]) -> Iterator[T]:
        """Iterate over `items`, with a check before each."""
        for item in items:
            self.check()
            yield item


@contextlib.contextmanager
def deferred_interrupts() -> Iterator[Interrupts]:
    """Defer Ctrl-C, SIGTERM and SIGHUP until `check` is called; a second one acts at once, as it would outside.

    Only the main thread can set signal handlers (other threads do not receive signals). A signal that the process ignores is
    still ignored.
    """
    interrupts = Interrupts()
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in STOPPING}
        before = {number: handler for number, handler in before.items() if handler not in (None, signal.SIG_IGN)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def remember(_number: int, _frame: FrameType | None) -> None:
        interrupts.requested = True
        restore()

    for number in before:
        signal.signal(number, remember)
    try:
        yield interrupts
    finally:
        restore()
    if interrupts.requested:  # pressed after the last check
        raise KeyboardInterrupt


def leave_stopping_to_parent() -> None:
    """In a worker process: the parent decides on Ctrl-C and SIGHUP, which reach every process of a terminal; SIGTERM ends it.

    A forked worker inherits the handlers of its parent, but a spawned one (macOS, Windows) does not.
    """
    for number in STOPPING:
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.SIG_IGN)

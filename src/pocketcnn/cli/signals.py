"""SIGTERM and SIGHUP end a command as Ctrl-C does: work is saved, and the message says how to resume."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def stopped_like_ctrl_c() -> Iterator[None]:
    """Inside, SIGTERM and SIGHUP raise `KeyboardInterrupt`, unless they are ignored (as SIGHUP is under `nohup`)."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt

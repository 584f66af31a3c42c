"""Collection of Pillow's warnings per file instead of printing them, also with many decoder threads.

`warnings.catch_warnings` changes process-wide state and must be exited in reverse order of entry, which threads do not
guarantee. So one process-wide hook is installed with the first collector and removed with the last, and each thread
collects its own messages.
"""

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any


class _Hook:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._saved: warnings.catch_warnings[None] | None = None
        self._show: Callable[..., Any] = warnings.showwarning
        self._local = threading.local()

    @contextlib.contextmanager
    def collect(self) -> Iterator[list[str]]:
        outer: list[str] | None = getattr(self._local, "messages", None)
        messages: list[str] = []
        self._local.messages = messages
        self._enter()
        try:
            yield messages
        finally:
            self._leave()
            self._local.messages = outer

    def _enter(self) -> None:
        with self._lock:
            self._users += 1
            if self._users > 1:
                return
            self._saved = warnings.catch_warnings()
            self._saved.__enter__()
            self._show = warnings.showwarning
            warnings.filterwarnings("always", module=r"PIL\b")
            warnings.showwarning = self._receive

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0 and self._saved is not None:
                self._saved.__exit__(None, None, None)
                self._saved = None

    def _receive(
        self, message: Warning | str, category: type[Warning], filename: str, *rest: Any, **named: Any
    ) -> None:
        messages: list[str] | None = getattr(self._local, "messages", None)
        if messages is None or Path(filename).parent.name != "PIL":
            self._show(message, category, filename, *rest, **named)
        else:
            messages.append(" ".join(str(message).split()))


_HOOK = _Hook()  # one instance, because the warning filters are process-wide


def collect_decoder_warnings() -> contextlib.AbstractContextManager[list[str]]:
    """Within the context, Pillow's warnings of this thread go to the yielded list; all others are handled as before."""
    return _HOOK.collect()

"""ExecuTorch's notes to its developers, kept from users: Python warnings, log lines, and what its C++ prints."""

import contextlib
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator

STDERR = 2


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without Python warnings and log lines."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def quiet_native() -> Iterator[list[str]]:
    """Without what C++ writes to the process's standard error; the list has its lines afterwards."""
    lines: list[str] = []
    with tempfile.TemporaryFile() as caught:
        kept = os.dup(STDERR)
        os.dup2(caught.fileno(), STDERR)
        try:
            yield lines
        finally:
            os.dup2(kept, STDERR)
            os.close(kept)
            caught.seek(0)
            lines += caught.read().decode(errors="replace").splitlines()

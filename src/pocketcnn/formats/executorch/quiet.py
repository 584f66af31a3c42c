"""Suppression of ExecuTorch's diagnostics: Python warnings, log messages, and output of its C++ code."""

import contextlib
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator

STDERR = 2


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress Python warnings and log messages within the context."""
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
    """Redirect the process's stderr within the context; afterwards the yielded list has its lines."""
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

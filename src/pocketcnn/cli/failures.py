"""Turns the exceptions of a verb into a message on the error stream and an exit code, without a traceback."""

import os
import sys
import traceback
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import typer
from typer.core import TyperGroup

from pocketcnn.cli.signals import stopped_like_ctrl_c
from pocketcnn.errors import PocketcnnError

DEBUG = "POCKETCNN_DEBUG"
"""The environment variable that, when set to 1, adds the traceback to every message."""

_STOPPED = 130  # 128 + SIGINT, as in a shell
_BROKEN_PIPE = 141  # 128 + SIGPIPE
_FAILED = 1

_REASONS: Mapping[type[OSError], str] = MappingProxyType(
    {
        PermissionError: "permission denied",
        FileNotFoundError: "there is no such file",
        IsADirectoryError: "it is a folder",
        NotADirectoryError: "a part of that path is a file, not a folder",
    }
)


class Verbs(TyperGroup):
    """The group of all verbs."""

    def invoke(self, ctx: Any) -> Any:
        try:
            with stopped_like_ctrl_c():
                result = super().invoke(ctx)
            sys.stdout.flush()  # a closed pipe is noticed here, not when the interpreter exits
        except BrokenPipeError as error:
            _stop_writing()
            raise typer.Exit(_BROKEN_PIPE) from error
        except KeyboardInterrupt as error:
            raise _failure("Stopped.", _STOPPED) from error
        except PocketcnnError as error:
            raise _failure(str(error), error.exit_code) from error
        except OSError as error:
            if error.filename is None and error.errno is None:
                raise
            raise _failure(_about_a_file(error), _FAILED) from error
        return result


def _failure(message: str, code: int) -> typer.Exit:
    """Print `message`; return the exception that exits with `code`."""
    if os.environ.get(DEBUG) == "1":
        traceback.print_exc()
    typer.echo(message, err=True)
    return typer.Exit(code)


def _about_a_file(error: OSError) -> str:
    reason = _REASONS.get(type(error), error.strerror or str(error))
    where = f" {os.fspath(error.filename)}" if isinstance(error.filename, str | os.PathLike) else ""
    return f"Cannot use{where}: {reason}." if where else f"System error: {reason}."


def _stop_writing() -> None:
    """Discard further output after the reader closed the pipe (`| head`), so that the interpreter exits silently."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())

"""What a verb raises becomes a message on the error stream and an exit code: no traceback for a user's mistake."""

import os
import sys
import traceback
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import typer
from typer.core import TyperGroup

from pocketcnn.errors import PocketcnnError

DEBUG = "POCKETCNN_DEBUG"
"""The environment variable that, when set to 1, adds the traceback to every message."""

_STOPPED = 130  # 128 + SIGINT, as in a shell
_NOBODY_READS = 141  # 128 + SIGPIPE
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
            result = super().invoke(ctx)
            sys.stdout.flush()  # a reader that has gone is noticed here, not at the interpreter's end
        except BrokenPipeError as error:
            _stop_writing()
            raise typer.Exit(_NOBODY_READS) from error
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
    """Print `message`, to be followed by the end of the program with `code`."""
    if os.environ.get(DEBUG) == "1":
        traceback.print_exc()
    typer.echo(message, err=True)
    return typer.Exit(code)


def _about_a_file(error: OSError) -> str:
    reason = _REASONS.get(type(error), error.strerror or str(error))
    where = f" {os.fspath(error.filename)}" if isinstance(error.filename, str | os.PathLike) else ""
    return f"Cannot use{where}: {reason}." if where else f"The system says: {reason}."


def _stop_writing() -> None:
    """Whoever read our output has left (`| head`): send the rest nowhere, so that the interpreter ends quietly."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())

"""Exceptions whose messages are meant for users.

A message says what was wrong, where, and what to do. The command line prints the message without a traceback and exits with
`exit_code`. Any other exception is a bug in the library and keeps its traceback.
"""


class PocketcnnError(Exception):
    """A failure that the user can understand and fix (exit code 1)."""

    exit_code = 1


class UsageError(PocketcnnError):
    """The request is wrong: an invalid argument, path, name or budget (exit code 2)."""

    exit_code = 2


class BudgetNotMet(PocketcnnError):
    """No network was found that meets the budget; the message names the closest one (exit code 3)."""

    exit_code = 3


class AccuracyNotMet(PocketcnnError):
    """The accuracy is not clearly better than always answering the most frequent class, as was required (exit code 4)."""

    exit_code = 4


class MissingExtra(UsageError):
    """An optional dependency is missing; the message has the command that installs it (exit code 2)."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra '{extra}'. Install it with: pip install 'pocketcnn[{extra}]'")


class Interrupted(PocketcnnError):
    """The user interrupted the run (Ctrl-C); the message says how to resume it (exit code 130, as in a shell)."""

    exit_code = 130

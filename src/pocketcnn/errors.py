"""The errors that a user is meant to read.

Every message says what was wrong, where, and what to do. The command line prints the message alone and
ends with `exit_code`; anything that is not a `PocketcnnError` is a defect of the library and keeps its traceback.
"""


class PocketcnnError(Exception):
    """Something failed that the user can understand and mend (exit code 1)."""

    exit_code = 1


class UsageError(PocketcnnError):
    """The request itself is wrong: a bad argument, path, name or budget (exit code 2)."""

    exit_code = 2


class BudgetNotMet(PocketcnnError):
    """No network within reach keeps the budget; the message names the closest miss (exit code 3)."""

    exit_code = 3


class MissingExtra(UsageError):
    """An optional library is needed and absent; the message has the line that installs it."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra '{extra}'. Install it with: pip install 'pocketcnn[{extra}]'")


class Interrupted(PocketcnnError):
    """The user stopped the work (Ctrl-C); the message says how to go on with it (exit code 130, as in a shell)."""

    exit_code = 130

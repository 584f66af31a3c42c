"""Optuna, if it is installed, without its messages for each trial."""

from typing import Any

from pocketcnn.errors import MissingExtra


def optuna_for(what: str) -> Any:
    """The library; `what` needs it.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise MissingExtra(what, "search") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna

"""The callback for those who want to be told nothing."""


def no_op(*_arguments: object, **_options: object) -> None:
    """Do nothing, whatever is said."""

"""A callback that does nothing, the default for progress reports."""


def no_op(*_arguments: object, **_options: object) -> None:
    """Accept any arguments and do nothing."""

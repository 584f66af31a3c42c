"""A verb of the program: a command that rejects options without effect."""

from typing import Any

import typer
from typer.core import TyperCommand

from pocketcnn.cli.option_rules import check_numbers, check_options
from pocketcnn.cli.renamed_options import with_current_names

_TYPED = "COMMANDLINE"


class Verb(TyperCommand):
    """A command that accepts old names of options, and checks options by `option_rules.RULES` before it runs."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        arguments, notes = with_current_names(_path(ctx), args)
        for note in notes:
            typer.echo(note, err=True)
        return super().parse_args(ctx, arguments)

    def invoke(self, ctx: Any) -> Any:
        given = {
            parameter.name: _as_typed(parameter, ctx.params[parameter.name])
            for parameter in self.params
            if parameter.name in ctx.params and getattr(ctx.get_parameter_source(parameter.name), "name", "") == _TYPED
        }
        check_numbers(given, ctx.params)
        check_options(_path(ctx), given, ctx.params)
        return super().invoke(ctx)


def _as_typed(parameter: Any, value: object) -> str:
    """The option as typed: ``--control``, or ``--no-control`` if `value` is False."""
    option = parameter.secondary_opts[0] if value is False and parameter.secondary_opts else parameter.opts[0]
    return str(option)


def _path(ctx: Any) -> str:
    """The words of the verb, without the program's name."""
    words: list[str] = []
    while ctx.parent is not None:
        words.insert(0, ctx.info_name)
        ctx = ctx.parent
    return " ".join(words)

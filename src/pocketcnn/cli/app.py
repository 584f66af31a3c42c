"""The program `pocketcnn`: its verbs, in the order of a first use."""

import os
import sys
from io import TextIOWrapper
from typing import Annotated

import typer

import pocketcnn
from pocketcnn.cli.bench import bench
from pocketcnn.cli.compress import compress
from pocketcnn.cli.data import data
from pocketcnn.cli.doctor import doctor
from pocketcnn.cli.eval import evaluate
from pocketcnn.cli.export import export
from pocketcnn.cli.failures import Verbs
from pocketcnn.cli.fit import fit
from pocketcnn.cli.inspect import inspect
from pocketcnn.cli.models import models
from pocketcnn.cli.predict import predict
from pocketcnn.cli.search import search
from pocketcnn.cli.target import target
from pocketcnn.cli.train import train
from pocketcnn.cli.verb import Verb

PLAIN_HELP = None
"""Without rich, whose import would double the time that `--help` takes."""

app = typer.Typer(
    cls=Verbs,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=PLAIN_HELP,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

app.command(cls=Verb)(fit)
app.add_typer(data, name="data")
app.command(cls=Verb)(models)
app.command(cls=Verb)(train)
app.command("eval", cls=Verb)(evaluate)
app.command(cls=Verb)(predict)
app.command(cls=Verb)(search)
app.command(cls=Verb)(compress)
app.command(cls=Verb)(export)
app.command(cls=Verb)(bench)
app.command(cls=Verb)(inspect)
app.add_typer(target, name="target")
app.command(cls=Verb)(doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"pocketcnn {pocketcnn.__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """A folder of images and a budget in, a deployable convolutional network out.

    \b
    Example:
      pocketcnn data digits --out digits
      pocketcnn fit digits --budget "size<=60kB, latency<=1ms@onnxruntime-cpu" --out fitted

    Exit codes: 0 done, 1 a failure, 2 wrong use, 3 the budget cannot be met, 130 stopped by Ctrl-C.
    """


def main() -> None:
    """Run the command line, and end the program with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name may hold what the stream's encoding has not
    # Threads that wait for each other should sleep: where another program keeps a core busy, spinning threads were seen to
    # take 25 times as long for a training step (GNU OpenMP reads this when torch is imported).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()

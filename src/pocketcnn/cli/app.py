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
"""Plain text, because importing rich would double the time of `--help`."""

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


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"pocketcnn {pocketcnn.__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Train and compress convolutional networks for a device, from a folder of images and a budget.

    \b
    Example:
      pocketcnn data digits --out digits
      pocketcnn fit digits --budget "size<=60kB, latency<=1ms@onnxruntime-cpu" --out fitted

    Exit codes: 0 success, 1 failure, 2 usage error, 3 budget not met, 130 interrupted by Ctrl-C.
    """


def main() -> None:
    """Run the command line and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # a file name may contain characters outside of the stream's encoding
    # Waiting threads should sleep. With another program on a core, a training step took 25 times as long with spinning
    # threads. GNU OpenMP reads this variable when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app()

"""`pocketcnn target profile` and `target predict`: how long networks take on a target, measured once and then predicted."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketcnn.cli.options import Classes, InputText, Json, Width
from pocketcnn.cli.output import Output
from pocketcnn.cli.sources import network_from
from pocketcnn.errors import UsageError
from pocketcnn.pipeline.choices import NUMERICS, joined

if TYPE_CHECKING:
    from pocketcnn.runtimes.base import Numerics
    from pocketcnn.targets.latency import Prediction

TABLE = "The file of the latency table; in the user's cache unless given."
SHOWN = 12
"""Kernels that are listed, the slowest first."""


def profile(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Name of a target, or its .toml file.")],
    out: Annotated[Path | None, typer.Option("--out", help=TABLE)] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Time to measure in all.")] = 300.0,
    numerics: Annotated[
        str, typer.Option(help=f"{', '.join(NUMERICS)} or both: {','.join(NUMERICS)}. All unless given.")
    ] = "",
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew, whatever was measured before.")] = False,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of what is measured; 0, or that of the table that is gone on with.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure the building blocks of networks on a target, to predict from.

    Blocks of random light networks are timed, some thousand of them; every beginning of the work is a coarse table, and
    more time makes it finer. Stopped, it goes on where it was. Run it while nothing else runs.

    \b
    Example:
      pocketcnn target profile onnxruntime-cpu --seconds 300
    """
    from pocketcnn.cli.profile_progress import ProfileProgress
    from pocketcnn.pipeline.latency.profile_apart import profile_apart
    from pocketcnn.targets import load_target
    from pocketcnn.targets.latency import default_path

    output = Output(as_json)
    found = load_target(target)
    path = out or default_path(found.name)
    forms = parse_forms(numerics)
    with ProfileProgress(f"profile {found.name}") as progress:
        table = profile_apart(
            found, path, seconds=seconds, numerics=forms, fresh=fresh, seed=seed, progress=progress.advance
        )
    summary = {"table": str(path), **table.summary()}
    output.json(summary)
    output.table(("", ""), list(summary.items()))


def parse_forms(text: str) -> tuple["Numerics", ...]:
    """The numerics of ``float32,int8``."""
    wanted = [precision.strip() for precision in text.split(",") if precision.strip()]
    if not set(wanted) <= NUMERICS.keys():
        raise UsageError(f"--numerics {text}: there are {joined(NUMERICS, 'and')}.")
    return tuple(precision for precision in NUMERICS if precision in wanted)  # type: ignore[misc] # they are the names of `Numerics`


def predict(
    network: Annotated[str, typer.Argument(metavar="FILE_OR_NAME", help="A model file, or a network of the zoo.")],
    target: Annotated[str, typer.Option("--target", help="Name of a target, or its .toml file.")],
    table: Annotated[Path | None, typer.Option("--table", help=TABLE)] = None,
    numerics: Annotated[str, typer.Option(help=f"{joined(NUMERICS)}; that of the file unless given.")] = "",
    width: Width = 1.0,
    classes: Classes = 1000,
    input_text: InputText = "3x224x224",
    force: Annotated[
        bool, typer.Option("--force", help="BudgetUse a table of another machine or of another version of the runtime.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Predict how long a network takes on a target, kernel by kernel, without running it.

    \b
    Example:
      pocketcnn target predict mobilenet_v2 --target onnxruntime-cpu
    """
    from pocketcnn.targets import load_target, predict_latency

    output = Output(as_json)
    given = network_from(network, input_text, width, classes)
    forms = parse_forms(numerics)
    if len(forms) > 1:
        raise UsageError(f"--numerics {numerics}: a prediction is for one of them.")
    prediction = predict_latency(
        given, load_target(target), numerics=forms[0] if forms else None, table=table, force=force
    )
    output.json({"network": network, "target": target, **prediction.as_dict()})
    _print(output, prediction)


def _print(output: Output, prediction: "Prediction") -> None:
    from pocketcnn.targets.units import format_seconds

    total, low, high = map(format_seconds, (prediction.total, prediction.low, prediction.high))
    output.print(f"{total} an image (nine chances in ten: {low} to {high})")
    slowest = sorted(prediction.layers, key=lambda layer: -layer.seconds)[:SHOWN]
    rows = [
        (layer.nodes[0], str(layer.kernel), format_seconds(layer.seconds), f"{layer.seconds / prediction.total:.1%}")
        for layer in slowest
    ]
    output.table(("layer", "kernel", ">time", ">share"), rows, title=f"The slowest {len(rows)} kernels")

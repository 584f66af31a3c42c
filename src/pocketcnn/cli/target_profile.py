"""`pocketcnn target profile` and `target predict`: measures a latency table of a target, and predicts latencies from it."""

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

TABLE = "File of the latency table. Default: in the user's cache."
SHOWN = 12
"""Number of kernels to list, the slowest first."""


def profile(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Name of a target, or its .toml file.")],
    out: Annotated[Path | None, typer.Option("--out", help=TABLE)] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Total time of the measurements, in seconds.")] = 300.0,
    numerics: Annotated[
        str, typer.Option(help=f"{', '.join(NUMERICS)} or both: {','.join(NUMERICS)}. Default: all.")
    ] = "",
    fresh: Annotated[bool, typer.Option("--fresh", help="Discard the existing table and start a new one.")] = False,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the random blocks. Default: that of the existing table, or 0.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure building blocks of networks on a target, for predicting latencies.

    Some thousand random blocks are timed. The table can be used at any time; more measurements make it more accurate. The
    same command resumes. Stop other programs during the measurement.

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
    precisions = parse_precisions(numerics)
    with ProfileProgress(f"profile {found.name}") as progress:
        table = profile_apart(
            found, path, seconds=seconds, numerics=precisions, fresh=fresh, seed=seed, progress=progress.advance
        )
    summary = {"table": str(path), **table.summary()}
    output.json(summary)
    output.table(("", ""), list(summary.items()))


def parse_precisions(text: str) -> tuple["Numerics", ...]:
    """Parse numerics such as ``float32,int8``.

    Raises:
        UsageError: an unknown name.
    """
    requested = [precision.strip() for precision in text.split(",") if precision.strip()]
    if not set(requested) <= NUMERICS.keys():
        raise UsageError(f"--numerics {text}: choose from {joined(NUMERICS, 'and')}.")
    return tuple(precision for precision in NUMERICS if precision in requested)  # type: ignore[misc] # the names of `Numerics`


def predict(
    network: Annotated[str, typer.Argument(metavar="FILE_OR_NAME", help="A model file, or a network of the zoo.")],
    target: Annotated[str, typer.Option("--target", help="Name of a target, or its .toml file.")],
    table: Annotated[Path | None, typer.Option("--table", help=TABLE)] = None,
    numerics: Annotated[str, typer.Option(help=f"{joined(NUMERICS)}. Default: that of the network.")] = "",
    width: Width = 1.0,
    classes: Classes = 1000,
    input_text: InputText = "3x224x224",
    force: Annotated[
        bool, typer.Option("--force", help="Use a table of another machine or of another version of the runtime.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Predict the latency of a network on a target from its latency table, without running it.

    \b
    Example:
      pocketcnn target predict mobilenet_v2 --target onnxruntime-cpu
    """
    from pocketcnn.targets import load_target, predict_latency

    output = Output(as_json)
    given = network_from(network, input_text, width, classes)
    precisions = parse_precisions(numerics)
    if len(precisions) > 1:
        raise UsageError(f"--numerics {numerics}: choose one for a prediction.")
    prediction = predict_latency(
        given, load_target(target), numerics=precisions[0] if precisions else None, table=table, force=force
    )
    output.json({"network": network, "target": target, **prediction.as_dict()})
    _print(output, prediction)


def _print(output: Output, prediction: "Prediction") -> None:
    from pocketcnn.targets.units import format_seconds

    total, low, high = map(format_seconds, (prediction.total, prediction.low, prediction.high))
    output.print(f"{total} per image (90 % interval {low} to {high})")
    if prediction.unfamiliar:
        first = prediction.layers[prediction.unfamiliar[0]]
        output.say(
            f"NOTE: {prediction.unfamiliar_share:.0%} of the time is in kernels unlike any in the table, such as {first.kernel} "
            f"({first.nodes[0]}): the interval is wider. Measure the network with: pocketcnn bench"
        )
    slowest = sorted(prediction.layers, key=lambda layer: -layer.seconds)[:SHOWN]
    rows = [
        (layer.nodes[0], str(layer.kernel), format_seconds(layer.seconds), f"{layer.seconds / prediction.total:.1%}")
        for layer in slowest
    ]
    output.table(("layer", "kernel", ">time", ">share"), rows, title=f"The slowest {len(rows)} kernels")

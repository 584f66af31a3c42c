"""`pocketcnn target profile` and `target predict`: how long networks take on a target, measured once and then predicted."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketcnn.cli.options import Classes, InputText, Json, Width
from pocketcnn.cli.output import Output
from pocketcnn.cli.shapes import parse_input
from pocketcnn.cli.sources import is_file, load_network, named_network
from pocketcnn.errors import UsageError

if TYPE_CHECKING:
    from pocketcnn.graph import GraphNetwork
    from pocketcnn.runtimes.base import Numerics
    from pocketcnn.targets.latency import LatencyTable, Prediction

FORMS: tuple["Numerics", ...] = ("float32", "int8")
TABLE = "The file of the latency table; in the user's cache unless given."
SHOWN = 12
"""Kernels that are listed, the slowest first."""


def profile(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Name of a target, or its .toml file.")],
    out: Annotated[Path | None, typer.Option("--out", help=TABLE)] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Time to measure in all.")] = 300.0,
    numerics: Annotated[str, typer.Option(help="float32, int8 or both: float32,int8. All unless given.")] = "",
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew, whatever was measured before.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of what is measured.")] = 0,
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
    from pocketcnn.pipeline.profile_apart import profile_apart
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
    output.json(_summary(table, path))
    output.table(("", ""), [(name, value) for name, value in _summary(table, path).items()])


def parse_forms(text: str) -> tuple["Numerics", ...]:
    """The numerics of ``float32,int8``."""
    wanted = [form.strip() for form in text.split(",") if form.strip()]
    if not set(wanted) <= set(FORMS):
        raise UsageError(f"--numerics {text}: there are {' and '.join(FORMS)}.")
    return tuple(form for form in FORMS if form in wanted)


def _summary(table: "LatencyTable", path: Path) -> dict[str, object]:
    ran = [point for point in table.points if point.ran]
    spreads = sorted((point.p90 - point.p10) / point.median for point in ran) or [0.0]
    here = table.circumstances
    return {
        "table": str(path),
        "target": table.target,
        "runtime": f"{here.runtime} {here.version}",
        "threads": here.threads,
        "cpu": here.machine.cpu,
        "seconds": round(table.seconds, 1),
        **{f"{form} blocks": sum(point.numerics == form for point in ran) for form in table.numerics},
        "not run": len(table.points) - len(ran),
        "median spread (p90-p10)": f"{spreads[len(spreads) // 2]:.1%}",
    }


def predict(
    network: Annotated[str, typer.Argument(metavar="FILE_OR_NAME", help="A model file, or a network of the zoo.")],
    target: Annotated[str, typer.Option("--target", help="Name of a target, or its .toml file.")],
    table: Annotated[Path | None, typer.Option("--table", help=TABLE)] = None,
    numerics: Annotated[str, typer.Option(help="float32 or int8; that of the file unless given.")] = "",
    width: Width = 1.0,
    classes: Classes = 1000,
    input_text: InputText = "3x224x224",
    force: Annotated[
        bool, typer.Option("--force", help="Use a table of another machine or of another version of the runtime.")
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
    given = _network(network, width, classes, input_text)
    forms = parse_forms(numerics)
    if len(forms) > 1:
        raise UsageError(f"--numerics {numerics}: a prediction is for one of them.")
    prediction = predict_latency(
        given, load_target(target), numerics=forms[0] if forms else None, table=table, force=force
    )
    output.json(_document(network, target, prediction))
    _print(output, prediction)


def _network(name: str, width: float, classes: int, input_text: str) -> "GraphNetwork":
    if is_file(name):
        return load_network(Path(name))
    return named_network(name, parse_input(input_text), width=width, classes=classes)


def _document(network: str, target: str, prediction: "Prediction") -> dict[str, object]:
    return {
        "network": network,
        "target": target,
        "seconds": prediction.total,
        "low": prediction.low,
        "high": prediction.high,
        "overhead": prediction.overhead,
        "kernels": [
            {"kernel": str(layer.kernel), "nodes": list(layer.nodes), "seconds": layer.seconds}
            for layer in prediction.layers
        ],
    }


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

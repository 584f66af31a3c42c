"""`pocketcnn target`: the devices that a network can be made for."""

from typing import Annotated

import typer

from pocketcnn.cli.options import Json
from pocketcnn.cli.output import Output
from pocketcnn.cli.target_calibrate import calibrate
from pocketcnn.cli.target_check import check

target = typer.Typer(
    help="Devices: what there are, what a network would cost on one, and measuring one.", no_args_is_help=True
)

target.command()(check)
target.command()(calibrate)

TargetName = Annotated[str, typer.Argument(metavar="TARGET", help="Name of a target, or its .toml file.")]


@target.command("list")
def list_all(as_json: Json = False) -> None:
    """List the targets that are shipped.

    \b
    Example:
      pocketcnn target list
    """
    from pocketcnn.targets import list_targets, load_target

    output = Output(as_json)
    targets = [load_target(name) for name in list_targets()]
    output.json({"targets": targets})
    rows = [
        (found.name, found.runtime or "not here: estimated", found.threads, ", ".join(found.numerics), found.note)
        for found in targets
    ]
    output.table(("target", "runtime", ">threads", "numerics", "note"), rows)


@target.command()
def show(target: TargetName, as_json: Json = False) -> None:
    """Print what is known of a target.

    \b
    Example:
      pocketcnn target show onnxruntime-cpu
    """
    from pocketcnn.targets import load_target

    output = Output(as_json)
    found = load_target(target)
    output.json(found)
    output.table(("", ""), [(name, value) for name, value in found.model_dump(mode="json").items()])

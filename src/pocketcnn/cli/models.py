"""`pocketcnn models`: lists the networks of the zoo with their cost."""

import fnmatch
from typing import Annotated, Any

import typer

from pocketcnn.cli.options import Classes, InputText, Json, Width
from pocketcnn.cli.output import Output
from pocketcnn.cli.shapes import format_shape, parse_input
from pocketcnn.errors import UsageError
from pocketcnn.models import list_models
from pocketcnn.models.description import describe_model, has_width


def models(
    name: Annotated[
        str | None,
        typer.Argument(help="Only this network, with the defaults of its options; or a pattern such as 'mobilenet*'."),
    ] = None,
    width: Width = 1.0,
    classes: Classes = 1000,
    input_text: InputText = "3x224x224",
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Compare the counted cost of published variants with the figures of their papers."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """List the networks of the zoo with their cost.

    Parameters and multiply-adds (MAdds) are for one image at the given width, classes and input. With --check they are
    those of every published variant. A difference without a stated reason gives exit code 1.

    \b
    Examples:
      pocketcnn models
      pocketcnn models mobilenet_v2 --width 0.5 --input 3x96x96
      pocketcnn models 'shufflenet*' --check
    """
    out = Output(as_json)
    if check:
        from pocketcnn.cli.models_check import check_published  # loads the published figures

        check_published(out, name)
        return
    shape = parse_input(input_text)
    if name is not None and "*" not in name:
        network = describe_model(name, shape, width=width, classes=classes)
        out.json(network)
        _print_one(out, network)
        return
    names = fnmatch.filter(list_models(), name or "*")
    if not names:
        raise UsageError(f"No network matches '{name}'. The zoo has {', '.join(list_models())}.")
    if width != 1.0 and not any(map(has_width, names)):
        raise UsageError(f"None of {', '.join(names)} has a width multiplier: leave --width out.")
    networks = [  # networks without a width multiplier are listed unchanged
        describe_model(each, shape, width=width if has_width(each) else 1.0, classes=classes) for each in names
    ]
    out.json({"models": networks})
    out.table(
        ("name", ">parameters", ">MAdds", "options", "paper"),
        [
            (
                each["name"],
                _millions(each["params"]),
                _millions(each["madds"]),
                ", ".join(each["options"]),
                each["paper"],
            )
            for each in networks
        ],
    )
    out.print(f"\nAt width {width:g}, for {classes} classes and one image of {format_shape(shape)}.")


def _print_one(out: Output, network: dict[str, Any]) -> None:
    options = ", ".join(f"{option}={default}" for option, default in network["options"].items())
    out.table(
        ("", ""),
        [
            ("name", network["name"]),
            ("paper", network["paper"]),
            ("options", options),
            ("width", f"{network['width']:g}"),
            ("classes", network["classes"]),
            ("input", format_shape(network["input"])),
            ("parameters", _millions(network["params"])),
            ("MAdds", _millions(network["madds"])),
        ],
    )


def _millions(count: int) -> str:
    return f"{count / 1e6:.2f} M"

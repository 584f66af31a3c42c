"""`pocketcnn models`: the networks of the zoo, with their cost."""

import fnmatch
import importlib
import inspect
import re
from typing import Annotated, Any

import typer

from pocketcnn.cli.options import Classes, InputText, Json, Width
from pocketcnn.cli.output import Output
from pocketcnn.cli.shapes import format_shape, parse_input
from pocketcnn.errors import UsageError
from pocketcnn.models import create, list_models, network_options
from pocketcnn.models.registry import CATALOG

_SHARED = ("width", "classes", "in_channels")
_PAPER = re.compile(r'"(?P<title>[^"]+)"\s*\((?P<source>[^)]+)\)')


def models(
    name: Annotated[
        str | None,
        typer.Argument(help="Only this network, with the defaults of its options; or a pattern, 'mobilenet*'."),
    ] = None,
    width: Width = 1.0,
    classes: Classes = 1000,
    input_text: InputText = "3x224x224",
    check: Annotated[
        bool,
        typer.Option("--check", help="Count the networks as published, beside the figures that their papers print."),
    ] = False,
    as_json: Json = False,
) -> None:
    """List the networks of the zoo with their cost.

    Parameters and multiply-adds (MAdds) are those of one image at the given width, classes and input. With --check they
    are those of every published variant, and a figure that is missed without a stated reason ends with exit code 1.

    \b
    Examples:
      pocketcnn models
      pocketcnn models mobilenet_v2 --width 0.5 --input 3x96x96
      pocketcnn models 'shufflenet*' --check
    """
    out = Output(as_json)
    if check:
        if (width, classes, input_text) != (1.0, 1000, "3x224x224"):
            raise UsageError(
                "--check counts each network as it was published: leave --width, --classes and --input out."
            )
        from pocketcnn.cli.models_check import check_published  # and with it what papers print

        check_published(out, name)
        return
    shape = parse_input(input_text)
    if name is not None and "*" not in name:
        network = describe(name, shape, width=width, classes=classes)
        out.json(network)
        _print_one(out, network)
        return
    names = fnmatch.filter(list_models(), name or "*")
    if not names:
        raise UsageError(f"No network matches '{name}'. The zoo has {', '.join(list_models())}.")
    networks = [describe(each, shape, width=_width_of(each, width), classes=classes) for each in names]
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


def describe(name: str, shape: tuple[int, int, int], *, width: float, classes: int) -> dict[str, Any]:
    """One network of the zoo: its paper, its own options with their defaults, and its cost for an image of `shape`."""
    options = network_options(name)
    params, madds = cost_of(name, shape, width=width, classes=classes)
    return {
        "name": name,
        "paper": paper_of(name),
        "options": {option: default for option, default in options.items() if option not in _SHARED},
        "width": width,
        "classes": classes,
        "input": shape,
        "params": params,
        "madds": madds,
    }


def cost_of(name: str, shape: tuple[int, int, int], *, width: float, classes: int) -> tuple[int, int]:
    """Parameters and multiply-adds.

    Raises:
        UsageError: the network does not take images of that shape.
    """
    from pocketcnn.models.counting import build_without_data, count_without_data

    network = build_without_data(lambda: create(name, width=width, classes=classes, in_channels=shape[0]))
    try:
        return count_without_data(network, shape)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"{name} does not take images of {format_shape(shape)}: {reason}") from error


def paper_of(name: str) -> str:
    """Title, authors and year of the paper that the network's file begins with; empty where it names none."""
    for file, names in CATALOG.items():
        if name in names:
            module = importlib.import_module(f"pocketcnn.models.{file}")
            found = _PAPER.search(" ".join((inspect.getdoc(module) or "").split()))
            return f"{found['title']} ({found['source']})" if found else ""
    return ""


def _width_of(name: str, width: float) -> float:
    """A network without a width multiplier is listed as it is."""
    return width if "width" in network_options(name) else 1.0


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

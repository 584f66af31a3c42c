"""`pocketcnn inspect`: what a network is and what each layer costs, as tables, JSON, one HTML page, or a drawing."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketcnn.cli.options import Classes, InputText, Json, Width
from pocketcnn.cli.output import Output
from pocketcnn.cli.shapes import parse_input
from pocketcnn.cli.sources import network_of
from pocketcnn.errors import UsageError

if TYPE_CHECKING:
    from pocketcnn.cost import Cost, PatchPlan
    from pocketcnn.graph import GraphNetwork


def inspect(
    network: Annotated[
        str,
        typer.Argument(
            metavar="FILE_OR_NAME",
            help="Model file, ONNX file, a network of the zoo, or one of timm or torchvision, such as timm:lcnet_050.",
        ),
    ],
    input_text: InputText = "3x224x224",
    width: Width = 1.0,
    classes: Classes = 1000,
    html: Annotated[Path | None, typer.Option("--html", help="Also write the report as one HTML page.")] = None,
    diagram: Annotated[Path | None, typer.Option("--diagram", help="Also draw the network, as SVG.")] = None,
    block: Annotated[
        str | None, typer.Option("--block", metavar="PATH", help="Draw only this module, such as features.block3.")
    ] = None,
    blocks: Annotated[bool, typer.Option("--blocks", help="Draw one box a block.")] = False,
    as_json: Json = False,
) -> None:
    """Print what is in a network and what each layer costs.

    \b
    Examples:
      pocketcnn inspect fitted/model.safetensors
      pocketcnn inspect mobilenet_v2 --width 0.5 --input 3x96x96 --html cost.html
      pocketcnn inspect mobilenet_v2 --diagram block.svg --block features.block3
      pocketcnn inspect torchvision:resnet50 --diagram resnet50.svg --blocks
    """
    if (block is not None or blocks) and diagram is None:
        raise UsageError("--block and --blocks say what to draw: add --diagram drawing.svg, or leave them out.")
    output = Output(as_json)
    found = network_of(network, parse_input(input_text), width=width, classes=classes)
    from pocketcnn.cli.inspection import document, show
    from pocketcnn.cost import count, patch_plans

    graph = found.graph
    cost, plans = count(graph), patch_plans(graph)
    written = _written(found, network, cost, plans, html, diagram, block, "blocks" if blocks else "layers")
    output.json({**document(network, found, cost, plans), "files": written})
    show(output, found, cost, plans)
    for path in written:
        output.print(f"\n{path} written")


def _written(
    network: "GraphNetwork",
    source: str,
    cost: "Cost",
    plans: "list[PatchPlan]",
    html: Path | None,
    diagram: Path | None,
    block: str | None,
    detail: str,
) -> list[Path]:
    """The files that were asked for, once they are there."""
    from pocketcnn.files import write_text

    name = network.info.name or Path(source).name
    if diagram is not None:
        from pocketcnn.report.diagram import draw

        title = name if block is None else f"{name}, {block}"
        write_text(diagram, draw(network.graph, title=title, block=block, detail=detail))
    if html is not None:
        from pocketcnn.report.cost_page import write_cost_page

        write_cost_page(name, network, cost, plans, html)
    return [path for path in (diagram, html) if path is not None]

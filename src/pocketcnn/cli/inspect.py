"""`pocketcnn inspect`: the layers of a network and their cost, as tables, JSON, an HTML page, or a drawing."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from pocketcnn.cli.options import Classes, InputText, Json, Width
from pocketcnn.cli.output import Output
from pocketcnn.cli.sources import network_from


def inspect(
    network: Annotated[
        str,
        typer.Argument(
            metavar="FILE_OR_NAME",
            help="Model file, ONNX file, network of the zoo, or of timm or torchvision, such as timm:lcnet_050.",
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
    blocks: Annotated[bool, typer.Option("--blocks", help="Draw one box for each block.")] = False,
    as_json: Json = False,
) -> None:
    """Print the layers of a network and their cost.

    \b
    Examples:
      pocketcnn inspect fitted/model.safetensors
      pocketcnn inspect mobilenet_v2 --width 0.5 --input 3x96x96 --html cost.html
      pocketcnn inspect mobilenet_v2 --diagram block.svg --block features.block3
      pocketcnn inspect torchvision:resnet50 --diagram resnet50.svg --blocks
    """
    from pocketcnn.cli.inspection import show
    from pocketcnn.pipeline.inspect import inspect as inspected

    output = Output(as_json)
    found = replace(inspected(network_from(network, input_text, width, classes)), source=network)
    written = []
    if diagram is not None:
        written.append(found.write_drawing(diagram, block=block, detail="blocks" if blocks else "layers"))
    if html is not None:
        written.append(found.write_page(html))
    output.json({**found.as_dict(), "files": written})
    show(output, found)
    for path in written:
        output.print(f"\n{path} written")

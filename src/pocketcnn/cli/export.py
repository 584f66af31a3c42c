"""`pocketcnn export`: writes a model file as a deployable file."""

from pathlib import Path
from typing import Annotated

import typer

from pocketcnn.cli.options import Force, Json
from pocketcnn.cli.output import Output
from pocketcnn.errors import UsageError
from pocketcnn.models.pretrained.source import has_weights
from pocketcnn.pipeline.choices import EXPORT_FORMATS, listed


def export(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE_OR_NAME",
            help="Model file (.safetensors); or trained weights, such as imagenet:NAME, with --out.",
        ),
    ],
    to: Annotated[str, typer.Option("--to", help=f"Format: {listed(EXPORT_FORMATS)}.")] = "onnx",
    out: Annotated[Path | None, typer.Option("--out", help="File to write. Default: beside FILE.")] = None,
    images: Annotated[
        Path | None, typer.Option(help="Folder of images for the check of the file. Default: random images.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write a model file as a deployable file with its sidecar.

    The file is float32 or int8, like the network. It is run in its runtime, compared with the network in PyTorch, and kept only
    if it is right.

    \b
    Examples:
      pocketcnn export fitted/model.safetensors --to onnx --out model.onnx
      pocketcnn export fitted/model.safetensors --to litert --out model.tflite
    """
    from pocketcnn.pipeline.deploy.export import (
        default_path,
        export_checked,
        images_for,
        numerics_name,
        runtime_of_format,
    )
    from pocketcnn.pipeline.pretrained import source_network
    from pocketcnn.pipeline.sidecar import sidecar_path
    from pocketcnn.runtimes.base import artefact_files
    from pocketcnn.targets.units import format_bytes

    output = Output(as_json)
    if out is None and has_weights(str(file)):
        raise UsageError(
            f"{file} is no file, beside which the result could lie. Say where to write it: --out model.onnx."
        )
    network = source_network(file)
    given = None if images is None else images_for(network, images)
    exported = export_checked(network, to, out or default_path(file, to), images=given, force=force)
    path, check = exported.path, exported.check
    files = artefact_files(runtime_of_format(to), path)
    size, numerics = sum(each.stat().st_size for each in files), numerics_name(network)
    sidecar = sidecar_path(path) if network.info.input is not None else None
    output.json({"file": path, "files": files, "bytes": size, "numerics": numerics, "sidecar": sidecar, "check": check})
    output.print(f"{', '.join(map(str, files))}: {format_bytes(size)}, {numerics}")
    if check.problem or check.unchecked:
        (output.say if as_json else output.print)(f"WARNING: {check.words()}")
    else:
        output.print(check.words())
    if sidecar is not None:
        output.print(f"{sidecar}: preprocessing of images and names of the classes")
    else:
        output.say(f"No sidecar was written: {file} has no input contract.")

"""`pocketcnn predict`: classifies images."""

import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketcnn.cli.options import Json
from pocketcnn.cli.output import Output, percent

if TYPE_CHECKING:
    from pocketcnn.pipeline.train.predict import Predictions


def predict(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Model file, ONNX file with its sidecar, or trained weights such as imagenet:NAME."
        ),
    ],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE_OR_FOLDER...", help="Images, or folders of them.")],
    top: Annotated[int, typer.Option(min=1, help="Number of classes to print for each image.")] = 5,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV: image,rank,class,probability.")] = False,
    as_json: Json = False,
) -> None:
    """Classify images, with probabilities.

    Files that cannot be read are skipped and listed on the error stream.

    \b
    Examples:
      pocketcnn predict fitted/model.onnx photo.jpg
      pocketcnn predict fitted/model.onnx photos/ --top 1 --csv > guesses.csv
    """
    from pocketcnn.pipeline.train.predict import predict as predict_images

    output = Output(as_json)
    found = predict_images(file, images, top=top, say=output.say)
    output.json({"file": file, **found.as_dict()})
    if as_csv:
        _write_csv(found)
    elif not as_json:
        _print(output, found)


def _write_csv(found: "Predictions") -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("image", "rank", "class", "probability"))
    for path, guesses in found.images:
        writer.writerows((path, rank, name, f"{share:.6f}") for rank, (name, share) in enumerate(guesses, start=1))


def _print(output: Output, found: "Predictions") -> None:
    rows = [(path, ", ".join(f"{name} {percent(share)}" for name, share in guesses)) for path, guesses in found.images]
    output.table(("image", "classes"), rows)

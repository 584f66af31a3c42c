"""`pocketcnn predict`: the classes of images."""

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from pocketcnn.cli.options import Json
from pocketcnn.cli.output import Output, percent
from pocketcnn.cli.sources import Classifier, load_classifier
from pocketcnn.errors import PocketcnnError, UsageError


class Guess(NamedTuple):
    """One class that an image may show, with its probability (softmax of the logits)."""

    name: str
    probability: float


def predict(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Model file, or ONNX file beside its sidecar.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE_OR_FOLDER...", help="Images, or folders of them.")],
    top: Annotated[int, typer.Option(min=1, help="How many classes to name for each image.")] = 5,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print image,rank,class,probability, one line a guess.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say which class each image shows, with its probability.

    Files that cannot be read are named on the error stream and left out.

    \b
    Examples:
      pocketcnn predict fitted/model.onnx photo.jpg
      pocketcnn predict fitted/model.onnx photos/ --top 1 --csv > guesses.csv
    """
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other: choose one of them.")
    output = Output(as_json)
    classifier = load_classifier(file)
    paths, skipped = usable_images(list(find_images(images)))
    for path, reason in skipped:
        output.say(f"Skipped {path}: {reason}.")
    if not paths:
        raise PocketcnnError("None of the images can be read.")
    guesses = list(zip(paths, guess(classifier, paths, top), strict=True))
    output.json(_document(file, guesses, skipped))
    if as_csv:
        _write_csv(guesses)
    elif not as_json:
        _print(output, guesses)


def find_images(given: Sequence[Path]) -> Iterator[Path]:
    """The files as given, and in place of each folder all files in it that are named as images, sorted.

    Raises:
        UsageError: one is not there, or a folder holds no images.
    """
    from pocketcnn.data.images import SUFFIXES

    for path in given:
        if not path.exists():
            raise UsageError(f"There is no file or folder {path}. Check the path.")
        if not path.is_dir():
            yield path
            continue
        inside = sorted(child for child in path.rglob("*") if child.suffix.lower() in SUFFIXES and child.is_file())
        if not inside:
            raise UsageError(f"{path} holds no images ({', '.join(sorted(SUFFIXES))}).")
        yield from inside


def usable_images(paths: Sequence[Path]) -> tuple[list[Path], list[tuple[Path, str]]]:
    """The images that can be read, and the others with the reason."""
    from pocketcnn.data.images import check_image

    problems = [(path, check_image(path)) for path in paths]
    usable = [path for path, problem in problems if problem is None or problem.usable]
    skipped = [(path, problem.kind.meaning) for path, problem in problems if problem is not None and not problem.usable]
    return usable, skipped


def guess(classifier: Classifier, paths: Sequence[Path], top: int) -> list[list[Guess]]:
    """For each image the `top` most probable classes, the most probable first."""
    from pocketcnn.data import ImageDataset, Sample
    from pocketcnn.training import predict_logits

    dataset = ImageDataset([Sample(path, 0) for path in paths], classifier.contract)
    probabilities = predict_logits(classifier.module, dataset).softmax(dim=1)
    best = probabilities.topk(min(top, len(classifier.classes)), dim=1)
    return [
        [Guess(classifier.classes[index], value) for index, value in zip(indices, values, strict=True)]
        for indices, values in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]


Guesses = Sequence[tuple[Path, Sequence[Guess]]]


def _document(file: Path, guesses: Guesses, skipped: Sequence[tuple[Path, str]]) -> dict[str, object]:
    return {
        "file": file,
        "images": [
            {"image": path, "guesses": [{"class": name, "probability": share} for name, share in found]}
            for path, found in guesses
        ],
        "skipped": [{"image": path, "reason": reason} for path, reason in skipped],
    }


def _write_csv(guesses: Guesses) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("image", "rank", "class", "probability"))
    for path, found in guesses:
        writer.writerows((path, rank, name, f"{share:.6f}") for rank, (name, share) in enumerate(found, start=1))


def _print(output: Output, guesses: Guesses) -> None:
    rows = [(path, ", ".join(f"{name} {percent(share)}" for name, share in found)) for path, found in guesses]
    output.table(("image", "classes"), rows)

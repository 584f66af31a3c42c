"""`predict`: the classes of images, with their probabilities."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pocketcnn.callbacks import no_op
from pocketcnn.data import ImageDataset, Sample
from pocketcnn.data.images import SUFFIXES, check_image
from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.pipeline.train.classifier import Classifier, load_classifier
from pocketcnn.pipeline.workspace import Say
from pocketcnn.training import predict_logits


class Guess(NamedTuple):
    """One class that an image may show, with its probability (softmax of the logits)."""

    name: str
    probability: float


@dataclass(frozen=True)
class Predictions:
    """Each image with its most probable classes, the best first; and the files that could not be read, with the reason."""

    images: tuple[tuple[Path, tuple[Guess, ...]], ...]
    skipped: tuple[tuple[Path, str], ...]

    def as_dict(self) -> dict[str, object]:
        """The same for JSON."""
        return {
            "images": [
                {"image": path, "guesses": [{"class": name, "probability": share} for name, share in found]}
                for path, found in self.images
            ],
            "skipped": [{"image": path, "reason": reason} for path, reason in self.skipped],
        }


def predict(file: str | Path, images: Sequence[str | Path], *, top: int = 5, say: Say = no_op) -> Predictions:
    """Say which class each image shows, by the network of a model file, or of an ONNX file beside its sidecar.

    Args:
        file: the network, which says how an image is prepared and what its classes are called.
        images: image files, or folders of them.
        top: how many classes to name for each image.
        say: is told of each file that is left out because it cannot be read.

    Raises:
        UsageError: a file is not there or of another kind, or a folder holds no images.
        PocketcnnError: the network is damaged, or none of the images can be read.
    """
    classifier = load_classifier(Path(file))
    paths, skipped = usable_images(list(find_images([Path(image) for image in images])))
    for path, reason in skipped:
        say(f"Skipped {path}: {reason}.")
    if not paths:
        raise PocketcnnError("None of the images can be read.")
    return Predictions(tuple(zip(paths, _guesses(classifier, paths, top), strict=True)), tuple(skipped))


def find_images(given: Sequence[Path]) -> Iterator[Path]:
    """The files as given, and in place of each folder all files in it that are named as images, sorted.

    Raises:
        UsageError: one is not there, or a folder holds no images.
    """
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
    problems = [(path, check_image(path)) for path in paths]
    usable = [path for path, problem in problems if problem is None or problem.usable]
    skipped = [(path, problem.kind.meaning) for path, problem in problems if problem is not None and not problem.usable]
    return usable, skipped


def _guesses(classifier: Classifier, paths: Sequence[Path], top: int) -> list[tuple[Guess, ...]]:
    """For each image the `top` most probable classes, the most probable first."""
    dataset = ImageDataset([Sample(path, 0) for path in paths], classifier.contract)
    probabilities = predict_logits(classifier.module, dataset).softmax(dim=1)
    best = probabilities.topk(min(top, len(classifier.classes)), dim=1)
    return [
        tuple(Guess(classifier.classes[index], value) for index, value in zip(indices, values, strict=True))
        for indices, values in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]

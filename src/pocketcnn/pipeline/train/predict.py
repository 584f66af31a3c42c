"""`predict`: classifies images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pocketcnn.callbacks import no_op
from pocketcnn.data import ImageDataset, Sample
from pocketcnn.data.images import SUFFIXES, check_image
from pocketcnn.data.links import images_in
from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.pipeline.train.classifier import Classifier, load_classifier
from pocketcnn.pipeline.workspace import Say
from pocketcnn.training import predict_logits


class Guess(NamedTuple):
    """A class with its probability (softmax of the logits)."""

    name: str
    probability: float


@dataclass(frozen=True)
class Predictions:
    """The most probable classes of each image, the best first; and (path, reason) of the files that cannot be read."""

    images: tuple[tuple[Path, tuple[Guess, ...]], ...]
    skipped: tuple[tuple[Path, str], ...]

    def as_dict(self) -> dict[str, object]:
        """The predictions for JSON."""
        return {
            "images": [
                {"image": path, "guesses": [{"class": name, "probability": share} for name, share in found]}
                for path, found in self.images
            ],
            "skipped": [{"image": path, "reason": reason} for path, reason in self.skipped],
        }


def predict(file: str | Path, images: Sequence[str | Path], *, top: int = 5, say: Say = no_op) -> Predictions:
    """Classify images with the network of a model file, or of an ONNX file with its sidecar.

    Args:
        file: the network, with its input contract and class names.
        images: image files, or folders of them.
        top: number of classes for each image.
        say: called with a message for each file that cannot be read and is skipped.

    Raises:
        UsageError: a file does not exist or is of another kind, or a folder contains no images.
        PocketcnnError: the network is damaged, or none of the images can be read.
    """
    classifier = load_classifier(Path(file))
    paths, skipped = usable_images(list(find_images([Path(image) for image in images])))
    for path, reason in skipped:
        say(f"Skipped {path}: {reason}.")
    if not paths:
        raise PocketcnnError("None of the images can be read.")
    return Predictions(tuple(zip(paths, _guesses(classifier, paths, top), strict=True)), tuple(skipped))


def find_images(paths: Sequence[Path]) -> Iterator[Path]:
    """The files in `paths`, and all image files (by suffix) in its folders, sorted.

    Raises:
        UsageError: a path does not exist, or a folder contains no images.
    """
    for path in paths:
        if not path.exists():
            raise UsageError(f"There is no file or folder {path}. Check the path.")
        if not path.is_dir():
            yield path
            continue
        inside = images_in(path)
        if not inside:
            raise UsageError(f"{path} contains no images ({', '.join(sorted(SUFFIXES))}).")
        yield from inside


def usable_images(paths: Sequence[Path]) -> tuple[list[Path], list[tuple[Path, str]]]:
    """The images that can be read, and (path, reason) of the others."""
    problems = [(path, check_image(path)) for path in paths]
    usable = [path for path, problem in problems if problem is None or problem.usable]
    skipped = [(path, problem.kind.meaning) for path, problem in problems if problem is not None and not problem.usable]
    return usable, skipped


def _guesses(classifier: Classifier, paths: Sequence[Path], top: int) -> list[tuple[Guess, ...]]:
    """The `top` most probable classes of each image, the most probable first."""
    dataset = ImageDataset([Sample(path, 0) for path in paths], classifier.contract)
    probabilities = predict_logits(classifier.module, dataset).softmax(dim=1)
    best = probabilities.topk(min(top, len(classifier.classes)), dim=1)
    return [
        tuple(Guess(classifier.classes[index], value) for index, value in zip(indices, values, strict=True))
        for indices, values in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]

"""`evaluate_folder`: evaluates a network on a folder of images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketcnn.callbacks import no_op
from pocketcnn.data import DataFolder, ImageDataset, ImageFolder, scan
from pocketcnn.data.folder import check_seed
from pocketcnn.errors import UsageError
from pocketcnn.pipeline.accuracy_check import chance_warnings, require_accuracy
from pocketcnn.pipeline.choices import ALL_SPLITS, SPLITS
from pocketcnn.pipeline.train.classifier import Classifier, check_classes, load_classifier
from pocketcnn.pipeline.workspace import Say
from pocketcnn.records.baselines import Baselines
from pocketcnn.records.result import Accuracy
from pocketcnn.training import Evaluation, evaluate


@dataclass(frozen=True)
class FolderEvaluation:
    """An evaluation on a split of a folder, with the names of the classes in the order of the network."""

    evaluation: Evaluation
    classes: tuple[str, ...]
    split: str
    fingerprint: str
    """Of the images, see `pocketcnn.data.ImageFolder`."""

    def as_dict(self) -> dict[str, Any]:
        """All figures, for JSON; shares run from 0 to 1."""
        return {
            "fingerprint": self.fingerprint,
            "split": self.split,
            **figures_of(self.evaluation, self.classes),
        }


def evaluate_folder(
    file: str | Path, data: str | Path | DataFolder, *, split: str = "test", seed: int | None = None, say: Say = no_op
) -> FolderEvaluation:
    """Evaluate the network of a model file, or of an ONNX file with its sidecar, on the images in `data`.

    Args:
        file: the network, with its input contract and class names.
        data: a folder of images with classes of the network, all or some, in any order, see `pocketcnn.data.scan`.
        split: ``test`` (used neither for training nor for choices), ``val``, ``train`` or ``all``.
        seed: of the split; that of the training, as recorded in the file, if not given.
        say: called with each note on the images.

    Raises:
        UsageError: a file, folder or split does not exist; the classes differ; or the seed has no effect.
        PocketcnnError: the file or its sidecar is damaged.
    """
    if split not in SPLITS:
        raise UsageError(f"There is no split '{split}'; choose one of {', '.join(SPLITS)}.")
    if split == ALL_SPLITS and seed is not None:
        raise UsageError("The split 'all' contains every image, so that a seed has no effect. Leave it out.")
    classifier = load_classifier(Path(file))
    folder = scan(data, seed=classifier.seed if seed is None else seed, for_evaluation=True)
    check_seed(folder, seed)
    check_classes(classifier, folder, some=True)
    if len(folder.classes) < len(classifier.classes):
        say(
            f"{data} has {len(folder.classes)} of the {len(classifier.classes)} classes of the network: "
            "the accuracy covers only these."
        )
    for note in folder.notes:
        say(note)
    if classifier.data not in (None, folder.fingerprint):
        say(f"The images in {data} are not those that {file} was trained on, or they have changed since.")
    return FolderEvaluation(_evaluated(classifier, folder, split), classifier.classes, split, folder.fingerprint)


def _evaluated(classifier: Classifier, folder: ImageFolder, split: str) -> Evaluation:
    """Evaluate the network on one split of the folder, or on all its images."""
    chosen = list(folder.splits.values()) if split == ALL_SPLITS else [folder.splits[split]]
    if not any(chosen):
        raise UsageError(f"{folder.root} has no images in {split}. Choose another --split, such as {ALL_SPLITS}.")
    label = {name: index for index, name in enumerate(classifier.classes)}
    samples = [
        sample._replace(label=label[folder.classes[sample.label]]) for samples in chosen for sample in samples
    ]  # the network may have its classes in another order
    return evaluate(classifier.module, ImageDataset(samples, classifier.contract))


def figures_of(evaluation: Evaluation, classes: Sequence[str]) -> dict[str, Any]:
    """All figures of an evaluation, for JSON; shares run from 0 to 1."""
    return {
        "images": evaluation.count,
        "top1": evaluation.top1,
        "top1_interval": evaluation.top1_interval,
        "baselines": baselines_of(evaluation),
        "warnings": accuracy_warnings(evaluation),
        "top5": evaluation.top5,
        "loss": evaluation.loss,
        "recall": dict(zip(classes, evaluation.recall, strict=True)),
        "confused": [
            {"true": true, "predicted": predicted, "images": count}
            for true, predicted, count in confused(evaluation, classes)
        ],
        "confusion": evaluation.confusion,
        "classes": classes,
    }


def baselines_of(evaluation: Evaluation) -> Baselines:
    """What the accuracy of an evaluation is compared with."""
    return Baselines.of(evaluation.confusion, evaluation.top1_interval[0])


def check_accuracy(evaluation: Evaluation) -> None:
    """Check that an accuracy is clearly better than always answering the most frequent class.

    Raises:
        AccuracyNotMet: it is not.
    """
    require_accuracy(accuracy_of(evaluation), baselines_of(evaluation).majority)


def accuracy_warnings(evaluation: Evaluation) -> tuple[str, ...]:
    """A warning if the accuracy is not clearly better than always answering the most frequent class; otherwise empty."""
    return chance_warnings(accuracy_of(evaluation), baselines_of(evaluation).majority, "The network")


def accuracy_of(evaluation: Evaluation) -> Accuracy:
    """The accuracy of an evaluation, with its interval."""
    low, high = evaluation.top1_interval
    return Accuracy(top1=evaluation.top1, low=low, high=high, images=evaluation.count)


def confused(evaluation: Evaluation, classes: Sequence[str]) -> list[tuple[str, str, int]]:
    """(true class, predicted class, images) of every pair that was confused, the most frequent first."""
    pairs = [
        (classes[true], classes[predicted], count)
        for true, row in enumerate(evaluation.confusion)
        for predicted, count in enumerate(row)
        if true != predicted and count
    ]
    return sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))

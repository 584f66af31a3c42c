"""`pocketcnn eval`: how good a network is on a folder of images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketcnn.cli.options import Data, Json
from pocketcnn.cli.output import Output, percent
from pocketcnn.cli.scores import confused, figures_of
from pocketcnn.cli.sources import Classifier, check_classes, load_classifier
from pocketcnn.errors import UsageError

if TYPE_CHECKING:
    from pocketcnn.data import ImageFolder
    from pocketcnn.training import Evaluation

SPLITS = ("test", "val", "train", "all")
PAIRS_SHOWN = 10


def evaluate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Model file, or ONNX file beside its sidecar.")],
    data: Data,
    split: Annotated[str, typer.Option(help="The images: test, val, train or all.")] = "test",
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Seed of the split; that of the training, as the model file says, if not given."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Evaluate a network on a folder of images.

    Prints accuracy with its interval, the recall of each class, and what is confused most.

    The default is the test split, whose images neither trained the network nor chose between networks.

    \b
    Example:
      pocketcnn eval fitted/model.onnx photos --split test
    """
    from pocketcnn.data import scan

    if split not in SPLITS:
        raise UsageError(f"There is no split '{split}'; choose one of {', '.join(SPLITS)}.")
    output = Output(as_json)
    classifier = load_classifier(file)
    folder = scan(data, seed=classifier.seed if seed is None else seed)
    check_classes(classifier, folder)
    for note in folder.notes:
        output.say(note)
    if classifier.data not in (None, folder.fingerprint):
        output.say(f"{data} does not hold the images that {file} was trained on, or not as they were then.")
    found = evaluated(classifier, folder, split)
    output.json(
        {"file": file, "data": data, "fingerprint": folder.fingerprint, "split": split}
        | figures_of(found, classifier.classes)
    )
    _print(output, found, classifier.classes)


def evaluated(classifier: Classifier, folder: "ImageFolder", split: str) -> "Evaluation":
    """The network on one split of the folder, or on all images of it."""
    from pocketcnn import training
    from pocketcnn.data import ImageDataset

    chosen = folder.splits.values() if split == "all" else [folder.splits[split]]
    label = {name: index for index, name in enumerate(classifier.classes)}
    samples = [
        sample._replace(label=label[folder.classes[sample.label]]) for samples in chosen for sample in samples
    ]  # a network of others may have its classes in another order
    return training.evaluate(classifier.module, ImageDataset(samples, classifier.contract))


def _print(output: Output, found: "Evaluation", classes: tuple[str, ...]) -> None:
    low, high = found.top1_interval
    interval = f"95 % interval {percent(low)} to {percent(high)}"
    output.print(f"accuracy  {percent(found.top1)} ({interval}, {found.count} images)")
    if found.top5 is not None:
        output.print(f"top 5     {percent(found.top5)}")
    output.print(f"loss      {found.loss:.4f}")
    rows = [
        (name, sum(row), "no images" if share is None else percent(share))
        for name, row, share in zip(classes, found.confusion, found.recall, strict=True)
    ]
    output.table(("class", ">images", ">recall"), rows, title="Recall of each class")
    pairs = confused(found, classes)
    if pairs:
        output.table(("true class", "taken for", ">images"), pairs[:PAIRS_SHOWN], title="Most confused")

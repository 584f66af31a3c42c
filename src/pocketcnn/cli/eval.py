"""`pocketcnn eval`: evaluates a network on a folder of images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketcnn.cli.options import Data, FollowLinks, Json, RequireAccuracy, data_folder
from pocketcnn.cli.output import Output, percent
from pocketcnn.pipeline.choices import SPLITS, listed

if TYPE_CHECKING:
    from pocketcnn.training import Evaluation

PAIRS_SHOWN = 10


def evaluate(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Model file, ONNX file with its sidecar, or trained weights such as imagenet:NAME."
        ),
    ],
    data: Data,
    split: Annotated[str, typer.Option(help=f"Images to use: {listed(SPLITS)}.")] = "test",
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Seed of the split. Default: that of the training, from the model file."),
    ] = None,
    follow_links: FollowLinks = False,
    require_accuracy: RequireAccuracy = False,
    as_json: Json = False,
) -> None:
    """Evaluate a network on a folder of images.

    Prints the accuracy with its 95 % interval, the recall of each class, and the most confused classes.

    The default is the test split, which is used neither for training nor for choices.

    \b
    Example:
      pocketcnn eval fitted/model.onnx photos --split test
    """
    from pocketcnn.pipeline.train.evaluate_folder import accuracy_warnings, check_accuracy, evaluate_folder

    output = Output(as_json)
    found = evaluate_folder(file, data_folder(data, follow_links), split=split, seed=seed, say=output.say)
    output.json({"file": file, "data": data, **found.as_dict()})
    for warning in accuracy_warnings(found.evaluation):
        output.warn(warning)
    _print(output, found.evaluation, found.classes)
    if require_accuracy:
        check_accuracy(found.evaluation)


def _print(output: Output, found: "Evaluation", classes: tuple[str, ...]) -> None:
    from pocketcnn.pipeline.train.evaluate_folder import baselines_of, confused

    low, high = found.top1_interval
    interval = f"95 % interval {percent(low)} to {percent(high)}"
    output.print(f"accuracy  {percent(found.top1)} ({interval}, {found.count} images)")
    output.print(f"compare   {baselines_of(found).words(classes)}")
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
        output.table(("true class", "predicted", ">images"), pairs[:PAIRS_SHOWN], title="Most confused")

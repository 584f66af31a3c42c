"""`pocketcnn train`: trains one network on a folder of images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketcnn.cli.options import (
    Data,
    Fit,
    FollowLinks,
    FromScratch,
    Json,
    Out,
    RecipeFile,
    RequireAccuracy,
    Teachers,
    Width,
    data_folder,
)
from pocketcnn.cli.output import Output, percent
from pocketcnn.cli.shapes import parse_size

if TYPE_CHECKING:
    from pocketcnn.training import Recipe


def train(
    data: Data,
    network: Annotated[
        str,
        typer.Option(
            help="Name of a network, see `pocketcnn models`; with trained weights imagenet:NAME, timm:NAME, torchvision:NAME, "
            "hf:OWNER/NAME or timm:NAME=FILE; or a network.toml."
        ),
    ],
    out: Out,
    width: Width = 1.0,
    size: Annotated[
        str | None,
        typer.Option(metavar="HxW", help="Input size: 32 or 24x32. Default: that of the images."),
    ] = None,
    from_scratch: FromScratch = False,
    recipe: RecipeFile = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Number of epochs. Default: that of the recipe.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Random seed. Default: that of the recipe.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume the interrupted training in --out.")] = False,
    teacher: Teachers = None,
    follow_links: FollowLinks = False,
    resize: Fit = None,
    require_accuracy: RequireAccuracy = False,
    as_json: Json = False,
) -> None:
    """Train one network on a folder of images.

    Writes model.safetensors (the weights of the best epoch on the validation images) and training.json to the output folder.
    After Ctrl-C or a full disk, the same command with --resume continues exactly where it stopped.

    \b
    Examples:
      pocketcnn train photos --network mobilenet_v2 --width 0.5 --size 96 --out trained
      pocketcnn train photos --network imagenet:efficientnet_lite0 --size 128 --out tuned
    """
    output = Output(as_json)
    source = data_folder(data, follow_links, resize)
    from pocketcnn.pipeline.train.evaluate_folder import baselines_of, check_accuracy
    from pocketcnn.pipeline.train.train_folder import MODEL_FILE, train_folder

    trained = train_folder(
        source,
        network,
        out,
        width=width,
        size=parse_size(size) if size else None,
        from_scratch=from_scratch,
        recipe=chosen_recipe(recipe, epochs, seed),
        teachers=teacher or (),
        resume=resume,
        progress_for=output.progress,
        say=output.say,
    )
    document = trained.document
    output.json(document)
    for warning in document["test"]["warnings"]:
        output.warn(warning)
    output.print(f"{trained.name}, best of {document['recipe'].epochs} epochs: epoch {document['best_epoch']}")
    output.print(f"val accuracy   {percent(document['val_accuracy'])}")
    output.print(f"test accuracy  {percent(document['test']['top1'])} of {document['test']['images']} images")
    output.print(f"to compare     {baselines_of(trained.test).words(trained.network.info.classes)}")
    output.print(f"model file     {out / MODEL_FILE}")
    if require_accuracy:
        check_accuracy(trained.test)


def chosen_recipe(file: Path | None, epochs: int | None, seed: int | None) -> "Recipe":
    """The recipe of `file`, or the default recipe, with the given `epochs` and `seed`."""
    from pocketcnn.training import Recipe

    changes = {name: value for name, value in (("epochs", epochs), ("seed", seed)) if value is not None}
    return (Recipe.from_toml(file) if file else Recipe()).with_(**changes)

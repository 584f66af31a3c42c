"""Options that several verbs share."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketcnn.errors import UsageError
from pocketcnn.pipeline.choices import EFFORTS, RESIZE_POLICIES, listed
from pocketcnn.targets.quantities import Quantity

if TYPE_CHECKING:
    from pocketcnn.data import DataFolder


def writable_folder(path: Path) -> Path:
    """Check before any work that results can be written to `path`.

    Raises:
        UsageError: it is below a file, or not writable.
    """
    above = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if not above.is_dir():
        raise UsageError(f"--out {path}: {above} is a file, not a folder. Choose another folder.")
    if not os.access(above, os.W_OK):
        raise UsageError(f"--out {path}: {above} is not writable. Choose another folder.")
    return path


Json = Annotated[
    bool,
    typer.Option("--json", help="Print the result as one JSON document; all other output goes to the error stream."),
]
Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA", help="Folder of images: DATA/CLASS/*.png, or DATA/train/CLASS/*.png with val and perhaps test."
    ),
]
FollowLinks = Annotated[
    bool, typer.Option("--follow-links", help="Also read what links that lead out of the data folder point to.")
]
Fit = Annotated[
    str | None,
    typer.Option(
        "--fit",
        help="How images become as large as the input: "
        f"{'; '.join(f'{name} {words}' for name, words in RESIZE_POLICIES.items())}. "
        "Default: stretch if nearly all images have one shape, else crop.",
    ),
]
BudgetText = Annotated[
    str,
    typer.Option(
        "--budget", help=f'Upper limits on {", ".join(Quantity)}, such as "size<=60kB, latency<=1ms@onnxruntime-cpu".'
    ),
]
Out = Annotated[
    Path, typer.Option("--out", callback=writable_folder, help="Folder for the results; created if needed.")
]
Seed = Annotated[int, typer.Option(min=0, help="Random seed, also of the split of the images.")]
Effort = Annotated[str, typer.Option(help=f"Amount of training: {listed(EFFORTS)}.")]
Width = Annotated[float, typer.Option(help="Width multiplier of a network of the zoo.")]
Classes = Annotated[int, typer.Option(help="Number of classes of a network by name.")]
InputText = Annotated[
    str, typer.Option("--input", metavar="CxHxW", help="Input of a network by name: 3x224x224, or 224.")
]
FromScratch = Annotated[
    bool,
    typer.Option(
        "--from-scratch", help="Begin with random weights. Default for timm:NAME and torchvision:NAME: published ones."
    ),
]
RecipeFile = Annotated[Path | None, typer.Option("--recipe", help="TOML file with changes of the training recipe.")]
Teachers = Annotated[
    list[Path] | None,
    typer.Option(
        "--teacher",
        help="Model file of a trained network as teacher (distillation), or its name, such as hf:OWNER/NAME; may be repeated for "
        "an ensemble.",
    ),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Keep the deployable file although it does not compute what the network computes."),
]
RequireAccuracy = Annotated[
    bool,
    typer.Option(
        "--require-accuracy",
        help="Exit with code 4 if the test accuracy is not clearly better than always answering the most frequent class.",
    ),
]


def data_folder(data: Path, follow_links: bool = False, fit: str | None = None) -> "DataFolder":
    """The data folder with how it is to be read."""
    from pocketcnn.data import DataFolder

    return DataFolder(data, follow_links, fit)  # type: ignore[arg-type]  # checked there


def data_options(follow_links: bool, fit: str | None = None) -> list[str]:
    """The options of `data_folder` as typed, for the command line in the report."""
    return [*(["--follow-links"] if follow_links else []), *(["--fit", fit] if fit else [])]

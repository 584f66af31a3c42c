"""Options that several verbs share."""

import os
from pathlib import Path
from typing import Annotated

import typer

from pocketcnn.errors import UsageError
from pocketcnn.pipeline.choices import EFFORTS, listed
from pocketcnn.targets.quantities import Quantity


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
RecipeFile = Annotated[Path | None, typer.Option("--recipe", help="TOML file with changes of the training recipe.")]
Teachers = Annotated[
    list[Path] | None,
    typer.Option(
        "--teacher",
        help="Model file of a trained network as teacher (distillation); may be repeated for an ensemble.",
    ),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Keep the deployable file although it does not compute what the network computes."),
]

"""Options that several verbs share, with one wording."""

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[
    bool,
    typer.Option("--json", help="Print the result as one JSON document; everything else goes to the error stream."),
]
Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA", help="Folder of images: DATA/CLASS/*.png, or DATA/train/CLASS/*.png with val and perhaps test."
    ),
]
BudgetText = Annotated[
    str, typer.Option("--budget", help='Upper limits, such as "size<=60kB, latency<=1ms@onnxruntime-cpu".')
]
Out = Annotated[Path, typer.Option("--out", help="Folder for the results; made if it is not there.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the split of the images and of all that training draws.")]
Effort = Annotated[str, typer.Option(help="How much to train: low, medium or high.")]
Width = Annotated[float, typer.Option(help="Width multiplier of a network of the zoo.")]
Classes = Annotated[int, typer.Option(help="Classes of a network of the zoo.")]
InputText = Annotated[
    str, typer.Option("--input", metavar="CxHxW", help="Input of a network of the zoo: 3x224x224, or 224.")
]
RecipeFile = Annotated[
    Path | None, typer.Option("--recipe", help="TOML file that changes parts of the training recipe.")
]

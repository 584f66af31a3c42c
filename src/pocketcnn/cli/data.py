"""`pocketcnn data`: writes a sample folder of images, and checks folders."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketcnn.cli.options import Data, Fit, FollowLinks, Json, data_folder
from pocketcnn.cli.output import Output
from pocketcnn.cli.verb import Verb

if TYPE_CHECKING:
    from pocketcnn.data import ImageFolder

data = typer.Typer(help="Make a sample folder of images, or check your own.", no_args_is_help=True)

PROBLEMS_SHOWN = 20


@data.command(cls=Verb)
def digits(
    out: Annotated[Path, typer.Option("--out", help="New or empty folder to write to.")],
    as_json: Json = False,
) -> None:
    """Write the sample set of handwritten digits as an image folder.

    The set is part of scikit-learn: 1797 grey images of 8 x 8 pixels in ten classes.

    \b
    Example:
      pocketcnn data digits --out digits
    """
    from pocketcnn.data import write_digits

    output = Output(as_json)
    images = write_digits(out)
    output.json({"out": out, "images": images})
    output.print(f"{out}: {images} images")


@data.command(cls=Verb)
def check(
    data: Data,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of the split, for a folder without splits. Default: 0.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="List all findings, not only the first 20.")] = False,
    follow_links: FollowLinks = False,
    resize: Fit = None,
    as_json: Json = False,
) -> None:
    """Read every image of a folder and report problems.

    Prints the classes, the splits, and the files that are converted, skipped or suspicious.

    \b
    Example:
      pocketcnn data check photos
    """
    from pocketcnn.data import contract_notes, infer_contract, scan
    from pocketcnn.data.folder import check_seed

    output = Output(as_json)
    folder = scan(data_folder(data, follow_links, resize), seed=seed or 0)
    check_seed(folder, seed)
    contract = infer_contract(folder)
    notes = [*folder.notes, *contract_notes(folder, contract)]
    splits = {name: dict(zip(folder.classes, folder.class_counts(name), strict=True)) for name in folder.splits}
    output.json(
        {
            "data": data,
            "fingerprint": folder.fingerprint,
            "classes": folder.classes,
            "splits": splits,
            "input": contract,
            "notes": notes,
            "report": folder.report.to_json(),
        }
    )
    _print(output, folder, notes, splits, everything=everything)


def _print(
    output: Output, folder: "ImageFolder", notes: list[str], splits: dict[str, dict[str, int]], *, everything: bool
) -> None:
    rows = [(name, *(counts[name] for counts in splits.values())) for name in folder.classes]
    totals = ("all", *(sum(counts.values()) for counts in splits.values()))
    output.table(("class", *(f">{split}" for split in splits)), [*rows, totals])
    output.print()
    for line in (*folder.report.summary(), *notes):
        output.print(line)
    findings = folder.report.findings
    shown = findings if everything else findings[:PROBLEMS_SHOWN]
    if shown:
        output.table(("file", "finding", "action"), [(f.path, f.kind.label, f.done) for f in shown], title="Files")
    if len(shown) < len(findings):
        output.print(f"… and {len(findings) - len(shown)} more: --all lists them.")

"""The network that `compress` starts from: one that knows the folder's classes, or one that first learns them."""

from pathlib import Path
from typing import TYPE_CHECKING

from pocketcnn.cli.output import Output
from pocketcnn.cli.plans import ReadyPlan
from pocketcnn.cli.sources import is_file, load_network
from pocketcnn.cli.train import Job, chosen_recipe, prepare, run
from pocketcnn.errors import UsageError

if TYPE_CHECKING:
    from pocketcnn.graph import GraphNetwork


def parent_of(
    network: str,
    data: Path,
    out: Path,
    output: Output,
    *,
    width: float = 1.0,
    size: str | None = None,
    seed: int | None = None,
    recipe: Path | None = None,
) -> "GraphNetwork":
    """The network of the file, or the one of that name after a training on `data`, with its checkpoints in `out`.

    A file that names no classes is of a network for others: its last layer is drawn anew for the folder's, and it is
    trained on.

    Raises:
        UsageError: there is no such file or network, or an option does not go with it.
        Interrupted: Ctrl-C; the same call goes on.
    """
    if not is_file(network):
        job = prepare(data, network, width, size, chosen_recipe(recipe, None, seed), None)
        output.say(f"{job.plan.name} has no weights for these classes yet: it is trained on {data} first")
        return run(job, out, resume=True, output=output)[0]
    if size is not None or width != 1.0:
        raise UsageError(
            "--size and --width are for a network by its name. For smaller images of a file's network: --resolution."
        )
    parent = load_network(Path(network))
    if parent.info.classes:
        return parent
    job = _fine_tuning(network, parent, data, seed, recipe)
    output.say(
        f"{network} does not say which classes it knows: its last layer is made for the {len(job.folder.classes)} classes of "
        f"{data}, and it is trained on them first"
    )
    return run(job, out, resume=True, output=output)[0]


def _fine_tuning(name: str, parent: "GraphNetwork", data: Path, seed: int | None, recipe: Path | None) -> Job:
    from pocketcnn.data import infer_contract, scan
    from pocketcnn.pipeline.recipes import datasets
    from pocketcnn.training.transfer import with_classes

    chosen = chosen_recipe(recipe, None, seed)
    folder = scan(data, seed=chosen.seed)
    channels, height, width = parent.graph.input_shape
    contract = parent.info.input or infer_contract(folder, (height, width), 3 if channels == 3 else 1)
    plan = ReadyPlan(Path(name).stem, with_classes(parent, folder.classes, chosen.seed))
    return Job(plan, folder, contract, datasets(folder, contract, chosen.augmentation), chosen, ())

"""The network that `compress` starts from: one that knows the folder's classes, or one that first learns them."""

from pathlib import Path

from pocketcnn.callbacks import no_op
from pocketcnn.data import infer_contract, scan
from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork
from pocketcnn.pipeline.networks import is_file, load_network
from pocketcnn.pipeline.recipes import base_recipe, datasets
from pocketcnn.pipeline.train.network_builders import GivenNetwork
from pocketcnn.pipeline.train.train_folder import TrainingJob, prepare, run
from pocketcnn.pipeline.workspace import ProgressFor, Say, quiet
from pocketcnn.training import Recipe
from pocketcnn.training.transfer import with_classes


def trained_network(
    network: str | Path,
    data: str | Path,
    out: str | Path,
    *,
    width: float = 1.0,
    size: tuple[int, int] | None = None,
    recipe: Recipe | None = None,
    seed: int | None = None,
    progress_for: ProgressFor = quiet,
    say: Say = no_op,
) -> GraphNetwork:
    """The network of a model file, or the one of that name after a training on `data`, with its checkpoints in `out`.

    A file that names no classes is of a network for others: its last layer is drawn anew for the folder's, and it is
    trained on. The same call goes on where an earlier one was stopped.

    Args:
        network: a model file; a name of `list_models()`, ``timm:NAME`` or ``torchvision:NAME``.
        data: a folder of images, see `pocketcnn.data.scan`.
        out: a folder for checkpoints.
        width: width multiplier of a network of the zoo.
        size: (height, width) of the images of a network by name; theirs if not given.
        recipe: of the training. For a file that is trained already it may not say how long.
        seed: of the split and of the training, in place of the recipe's.

    Raises:
        UsageError: there is no such file or network, or an option does not go with it.
        Interrupted: Ctrl-C; the same call goes on.
    """
    name, chosen = str(network), recipe or Recipe()
    chosen = chosen if seed is None else chosen.with_(seed=seed)
    if not is_file(name):
        job = prepare(Path(data), name, width, size, chosen)
        say(f"{job.builder.name} has no weights for these classes yet: it is trained on {data} first")
        return run(job, Path(out), resume=True, progress_for=progress_for).network
    if size is not None or width != 1.0:
        raise UsageError(
            "--size and --width are for a network by its name. For smaller images of a file's network: --resolution."
        )
    given = load_network(Path(network))
    if given.info.classes:
        base_recipe(recipe)  # nothing is trained for that long here
        return given
    job = _fine_tuning(name, given, Path(data), chosen)
    say(
        f"{network} does not say which classes it knows: its last layer is made for the {len(job.folder.classes)} classes of "
        f"{data}, and it is trained on them first"
    )
    return run(job, Path(out), resume=True, progress_for=progress_for).network


def _fine_tuning(name: str, given: GraphNetwork, data: Path, recipe: Recipe) -> TrainingJob:
    folder = scan(data, seed=recipe.seed)
    channels, height, width = given.graph.input_shape
    contract = given.info.input or infer_contract(folder, (height, width), 3 if channels == 3 else 1)
    builder = GivenNetwork(Path(name).stem, with_classes(given, folder.classes, recipe.seed))
    return TrainingJob(builder, folder, contract, datasets(folder, contract, recipe.augmentation), recipe)

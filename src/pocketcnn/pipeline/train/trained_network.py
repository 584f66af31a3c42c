"""The trained network that `compress` starts from; trained on the folder first if it does not have its classes yet."""

from pathlib import Path

from pocketcnn.callbacks import no_op
from pocketcnn.data import DataFolder, infer_contract, scan
from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork
from pocketcnn.pipeline.exclusive import exclusive
from pocketcnn.pipeline.networks import is_file, load_network
from pocketcnn.pipeline.recipes import base_recipe, clipped_for, datasets
from pocketcnn.pipeline.small_sets import default_recipe
from pocketcnn.pipeline.train.network_builders import GivenNetwork
from pocketcnn.pipeline.train.train_folder import TrainingJob, check_from_scratch, prepare, run, starts_from_weights
from pocketcnn.pipeline.workspace import ProgressFor, Say, quiet
from pocketcnn.training import Recipe
from pocketcnn.training.transfer import with_classes


def trained_network(
    network: str | Path,
    data: str | Path | DataFolder,
    out: str | Path,
    *,
    width: float = 1.0,
    size: tuple[int, int] | None = None,
    from_scratch: bool = False,
    recipe: Recipe | None = None,
    seed: int | None = None,
    progress_for: ProgressFor = quiet,
    say: Say = no_op,
) -> GraphNetwork:
    """The network of a model file, or the network of that name after a training on `data`.

    If a file has no class names, its last layer is replaced by a new one for the classes of the folder, and the network is
    fine-tuned on the folder. The same call resumes an interrupted run.

    Args:
        network: a model file; a name of `list_models()`; or the name of trained weights, see `pocketcnn.pretrained`.
        data: a folder of images, see `pocketcnn.data.scan`.
        out: the folder for checkpoints.
        width: width multiplier of a network of the zoo.
        size: input size (height, width) of a network by name; that of the images if not given.
        from_scratch: begin with random weights, for ``timm:NAME`` and ``torchvision:NAME``.
        recipe: of the training. For a file that needs no training, it must not set epochs, warm-up or seed.
        seed: of the split and of the training, in place of that of the recipe.
        progress_for: creates the progress display of the training from its title.
        say: called with each status message.

    Raises:
        UsageError: there is no such file or network, or an option has no effect for it.
        Interrupted: Ctrl-C; the same call resumes.
    """
    name, chosen = str(network), recipe or Recipe()
    chosen = chosen if seed is None else chosen.with_(seed=seed)
    if not is_file(name):
        job = prepare(data, name, width, size, chosen, from_scratch=from_scratch, say=say)
        lacks = "not trained on these classes" if starts_from_weights(job) else "not trained"
        say(f"{job.builder.name} is {lacks} yet: training it on {data} first")
        with exclusive(Path(out)):
            return run(job, Path(out), resume=True, progress_for=progress_for).network
    check_from_scratch(name, from_scratch)
    if size is not None or width != 1.0:
        raise UsageError(
            "--size and --width are only for networks by name. For smaller images of a network from a file: --resolution."
        )
    given = load_network(Path(network))
    if given.info.classes:
        base_recipe(recipe)  # raises if the recipe sets the length of a training
        return given
    job = _fine_tuning(name, given, Path(data), chosen)
    say(
        f"{network} has no class names: replacing its last layer for the {len(job.folder.classes)} classes of {data} and "
        "fine-tuning it on them first"
    )
    with exclusive(Path(out)):
        return run(job, Path(out), resume=True, progress_for=progress_for).network


def _fine_tuning(name: str, given: GraphNetwork, data: str | Path | DataFolder, recipe: Recipe) -> TrainingJob:
    folder = scan(data, seed=recipe.seed)
    recipe = clipped_for(given, default_recipe(recipe, len(folder.train)))
    channels, height, width = given.graph.input_shape
    contract = given.info.input or infer_contract(folder, (height, width), 3 if channels == 3 else 1)
    builder = GivenNetwork(Path(name).stem, with_classes(given, folder.classes, recipe.seed))
    return TrainingJob(builder, folder, contract, datasets(folder, contract, recipe.augmentation), recipe)

"""`train_folder`: trains a network on a folder of images and saves it as a model file."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketcnn import training
from pocketcnn.callbacks import no_op
from pocketcnn.data import DataFolder, ImageFolder, describe, infer_contract, scan
from pocketcnn.errors import UsageError
from pocketcnn.files import plain, write_text
from pocketcnn.graph import GraphNetwork, InputContract, ModelInfo, Stage, capture
from pocketcnn.graph.model_file import save
from pocketcnn.layers import reparameterize
from pocketcnn.models import network_options
from pocketcnn.models.libraries import channels_of, is_library_name
from pocketcnn.models.pretrained.source import demands_weights, has_weights, parse_source
from pocketcnn.pipeline.architecture_network import ArchitectureNetwork
from pocketcnn.pipeline.candidates import CandidateNetwork
from pocketcnn.pipeline.exclusive import writes_to
from pocketcnn.pipeline.networks import is_architecture_file
from pocketcnn.pipeline.published_network import published_network
from pocketcnn.pipeline.recipes import Splits, clipped, datasets, fine_tuning_recipe
from pocketcnn.pipeline.small_sets import default_recipe
from pocketcnn.pipeline.train.classifier import Classifier, as_teacher, check_classes, load_classifier
from pocketcnn.pipeline.train.evaluate_folder import figures_of
from pocketcnn.pipeline.train.network_builders import GivenNetwork, LibraryNetwork, NetworkBuilder
from pocketcnn.pipeline.workspace import ProgressFor, Say, fingerprint_of, quiet
from pocketcnn.training import Evaluation, Recipe, TrainResult
from pocketcnn.training.basis import TrainingBasis, input_facts

MODEL_FILE, FIGURES_FILE = "model.safetensors", "training.json"


@dataclass(frozen=True)
class FolderTraining:
    """A network that was trained on a folder.

    Attributes:
        name: display name of the network.
        document: all figures, for JSON: history, best epoch, accuracies, recipe, images.
        test: the evaluation on the test images.
    """

    network: GraphNetwork
    name: str
    document: dict[str, Any]
    test: Evaluation


@writes_to("out")
def train_folder(
    data: str | Path | DataFolder,
    network: str,
    out: str | Path,
    *,
    width: float = 1.0,
    size: tuple[int, int] | None = None,
    from_scratch: bool = False,
    recipe: Recipe | None = None,
    teachers: Sequence[str | Path] = (),
    resume: bool = False,
    progress_for: ProgressFor = quiet,
    say: Say = no_op,
) -> FolderTraining:
    """Train a network on the images in `data`, and save it in `out`.

    `out` then contains `model.safetensors`, with the weights of the best epoch on the validation images, and
    `training.json`, the figures.

    Args:
        data: a folder of images, see `pocketcnn.data.scan`; split by the seed of the recipe.
        network: a name of `list_models()` or an architecture file, with random weights; or the name of trained weights, such as
            ``imagenet:NAME``, ``timm:NAME`` or ``hf:OWNER/NAME`` (see `pocketcnn.pretrained`), which are fine-tuned.
        out: the folder for the model file, the figures and the checkpoints.
        width: width multiplier of a network of the zoo.
        size: input size (height, width); that of the images if not given.
        from_scratch: begin with random weights, for ``timm:NAME`` and ``torchvision:NAME``.
        recipe: replaces the default recipe, or for trained weights that of `fine_tuning_recipe`. Those of batch size, learning
            rate and epochs that it does not set are chosen for the number of images, see `pocketcnn.pipeline.small_sets`.
        teachers: files of trained networks for distillation. The input contract of the first is used for the new network.
        resume: resume the interrupted training in `out`.
        progress_for: creates the progress display of the training from its title.
        say: called with each note on the images.

    Raises:
        UsageError: a name, a size or a folder is wrong; a teacher has other images or classes; `out` contains another
            training, or one and `resume` is not set; or an option has no effect.
        Interrupted: Ctrl-C; the message says how to resume.
        PocketcnnError: the disk is full, or the training diverged. Earlier checkpoints are kept.
    """
    if recipe is not None and not teachers:
        _check_without_teacher(recipe)
    files = [Path(teacher) for teacher in teachers]
    job = prepare(data, network, width, size, recipe or Recipe(), files, from_scratch=from_scratch, say=say)
    for line in describe(job.folder, job.contract):
        say(line)
    trained = run(job, Path(out), resume=resume, progress_for=progress_for)
    save(Path(out) / MODEL_FILE, trained.network)
    write_text(Path(out) / FIGURES_FILE, json.dumps(plain(trained.document), indent=2) + "\n")
    return trained


@dataclass(frozen=True)
class TrainingJob:
    """The checked inputs of a training."""

    builder: NetworkBuilder
    folder: ImageFolder
    contract: InputContract
    sets: Splits
    recipe: Recipe
    teachers: tuple[Classifier, ...] = ()


def prepare(
    data: str | Path | DataFolder,
    network: str,
    width: float,
    size: tuple[int, int] | None,
    recipe: Recipe,
    teacher_files: Sequence[Path] = (),
    *,
    from_scratch: bool = False,
    say: Say = no_op,
) -> TrainingJob:
    """Read the folder and check the inputs of a training; see `train_folder`.

    Raises:
        UsageError: a name, a size or a folder is wrong, a teacher has other images or classes, or `from_scratch` has no effect.
        PocketcnnError: trained weights are not to be had.
    """
    check_from_scratch(network, from_scratch)
    with_weights = has_weights(network) and not from_scratch
    is_library = is_library_name(network)
    if with_weights:
        parse_source(network)  # raises for a wrong form, before the images are read
    if has_weights(network):
        recipe = clipped(fine_tuning_recipe(recipe) if with_weights else recipe)
        if width != 1.0:
            raise UsageError(f"--width applies to networks of the zoo only; the width of {network} is fixed.")
    elif is_architecture_file(network):
        if width != 1.0:
            raise UsageError(
                f"--width applies to networks of the zoo only; the architecture file {network} sets the width."
            )
    else:
        network_options(network)  # raises for an unknown name, before the images are read
    teachers = tuple(map(load_classifier, teacher_files))
    folder = scan(data, seed=recipe.seed)
    recipe = default_recipe(recipe, len(folder.train))
    for teacher in teachers:
        check_classes(teacher, folder)
    if teachers:
        _check_size(teachers[0], size)
        _check_resize(teachers[0], folder)
    channels = None if with_weights else channels_of(network)
    contract = teachers[0].contract if teachers else infer_contract(folder, size, channels)
    images = (contract.channels, (contract.height, contract.width), len(folder.classes))
    builder: NetworkBuilder
    if with_weights:
        ready = published_network(network, folder.classes, shape=contract.shape, seed=recipe.seed, say=say)
        builder = GivenNetwork(f"{network.partition('=')[0]}, {contract.height}x{contract.width}", ready)
        contract = contract if teachers else _as_published(contract, ready)
    elif is_architecture_file(network):
        builder = ArchitectureNetwork.read(network, *images)
        contract = contract.model_copy(update={"height": builder.size[0], "width": builder.size[1]})
    else:
        builder = (LibraryNetwork if is_library else CandidateNetwork)(network, width, *images)
    return TrainingJob(builder, folder, contract, datasets(folder, contract, recipe.augmentation), recipe, teachers)


def check_from_scratch(network: str, from_scratch: bool) -> None:
    """Refuse `from_scratch` where it would have no effect.

    Raises:
        UsageError: the network has random weights anyway, or the name says which weights it has.
    """
    if from_scratch and (not is_library_name(network) or demands_weights(network)):
        raise UsageError(
            f"--from-scratch chooses random weights for timm:NAME and torchvision:NAME. {network} leaves no choice: leave it out."
        )


def starts_from_weights(job: TrainingJob) -> bool:
    """Whether the network of `job` has trained weights."""
    return isinstance(job.builder, GivenNetwork)


def _as_published(contract: InputContract, network: GraphNetwork) -> InputContract:
    """The contract of the folder's images with the normalisation and the interpolation that the weights were trained with."""
    own = network.info.input
    if own is None:
        return contract
    return contract.model_copy(update={"mean": own.mean, "std": own.std, "interpolation": own.interpolation})


def run(job: TrainingJob, out: Path, *, resume: bool, progress_for: ProgressFor = quiet) -> FolderTraining:
    """Train the network of `job`, with checkpoints in `out`.

    Raises:
        UsageError: `out` contains another training, or one and `resume` is not set.
        Interrupted: Ctrl-C; the message says how to resume.
        PocketcnnError: the disk is full, or the training diverged. Earlier checkpoints are kept.
    """
    builder, contract = job.builder, job.contract
    module = builder.build(job.recipe.seed, for_training=True)
    with training.threads_for(contract.height, contract.width):
        result = training.train(
            module,
            job.sets.train,
            job.sets.val,
            job.recipe,
            out=out,
            teacher=[as_teacher(each, contract, job.folder.classes) for each in job.teachers],
            resume=resume,
            progress=progress_for(builder.name),
            basis=basis_of(job),
        )
    lineage = builder.origin if isinstance(builder, GivenNetwork) else ()
    info = ModelInfo(name=builder.name, input=contract, classes=job.folder.classes, lineage=lineage)
    if isinstance(module, GraphNetwork):
        network = GraphNetwork(module.graph, info)
    else:
        network = GraphNetwork(capture(reparameterize(module), (1, *contract.shape)), info)
    test = training.evaluate(network, job.sets.test)
    network.info = info.with_stage(stage_of(job, result, test.top1))
    document = {
        "file": out / MODEL_FILE,
        "network": builder.network,
        "width": builder.width,
        "input": contract,
        "images": {split: len(samples) for split, samples in job.folder.splits.items()},
        "data": job.folder.fingerprint,
        "recipe": job.recipe,
        "test": figures_of(test, job.folder.classes),
        **result.as_dict(),
    }
    return FolderTraining(network, builder.name, document, test)


def basis_of(job: TrainingJob) -> TrainingBasis:
    """What the training of `job` depends on beside its recipe. Call it before the training, which changes a given network."""
    builder = job.builder
    facts = {
        **_network_facts(builder),
        "the teachers": ", ".join(fingerprint_of(teacher.module)[:16] for teacher in job.teachers) or "none",
        **input_facts(job.contract),
    }
    return TrainingBasis(job.folder.inventory, facts)


def _network_facts(builder: NetworkBuilder) -> dict[str, str]:
    """The network in words; that of a file by its content, because the file may have been moved."""
    if isinstance(builder, GivenNetwork):
        return {"the content of the network's file": fingerprint_of(builder.ready)[:16]}
    if isinstance(builder, ArchitectureNetwork):
        point = ", ".join(f"{name} = {value}" for name, value in sorted(builder.architecture.point.items()))
        return {"the architecture": f"{builder.architecture.space.name} ({point})"}
    return {"the network": builder.network, "the width": f"{builder.width:g}"}


def stage_of(job: TrainingJob, result: TrainResult, test_accuracy: float) -> Stage:
    """The training as a stage of the network's lineage."""
    return Stage(
        name="trained",
        settings={
            **job.recipe.model_dump(mode="json"),
            "teacher": " + ".join(teacher.path.name for teacher in job.teachers) or None,
        },
        seed=job.recipe.seed,
        data=job.folder.fingerprint,
        figures={"val_accuracy": result.val_accuracy, "test_accuracy": test_accuracy, "best_epoch": result.best_epoch},
    )


def _check_without_teacher(recipe: Recipe) -> None:
    default = Recipe()
    fields = [name for name in Recipe.model_fields if name.startswith("distillation_")]
    unused = [name for name in fields if getattr(recipe, name) != getattr(default, name)]
    if unused:
        raise UsageError(
            f"The recipe sets {', '.join(unused)}, which has no effect without a teacher. Give one (--teacher), or leave it out "
            "of the recipe."
        )


def _check_size(teacher: Classifier, size: tuple[int, int] | None) -> None:
    own = (teacher.contract.height, teacher.contract.width)
    if size not in (None, own):
        raise UsageError(
            f"The teacher {teacher.path} takes images of {own[0]}x{own[1]} (height x width), and its student must have "
            "the same input size. Leave --size out."
        )


def _check_resize(teacher: Classifier, folder: ImageFolder) -> None:
    if folder.resize not in (None, teacher.contract.resize):
        raise UsageError(
            f"The teacher {teacher.path} takes images with --fit {teacher.contract.resize}, and its student must have the same "
            "input. Leave --fit out."
        )

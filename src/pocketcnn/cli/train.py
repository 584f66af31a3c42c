"""`pocketcnn train`: one network of the zoo on a folder of images."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketcnn.cli.libraries import channels_of, is_library_name
from pocketcnn.cli.options import Data, Json, Out, RecipeFile, Teachers, Width
from pocketcnn.cli.output import Output, percent, plain
from pocketcnn.cli.plans import Buildable, LibraryPlan
from pocketcnn.cli.scores import figures_of
from pocketcnn.cli.shapes import format_shape, parse_size
from pocketcnn.cli.sources import Classifier, as_teacher, check_classes, load_classifier
from pocketcnn.errors import UsageError
from pocketcnn.files import write_text

if TYPE_CHECKING:
    from pocketcnn.data import ImageFolder
    from pocketcnn.graph import GraphNetwork, InputContract, Stage
    from pocketcnn.pipeline.recipes import Sets
    from pocketcnn.training import Recipe, TrainResult

MODEL_FILE, FIGURES_FILE = "model.safetensors", "training.json"
LIBRARY_CLIP = 1.0
"""Gradients of other libraries' networks are clipped to this norm, unless the recipe names one: maps of one pixel and a last
batch of three images were seen to give gradients of 6,000."""


def train(
    data: Data,
    network: Annotated[
        str,
        typer.Option(
            help="Name of a network (`pocketcnn models`), timm:NAME, torchvision:NAME, or network.toml of a search."
        ),
    ],
    out: Out,
    width: Width = 1.0,
    size: Annotated[
        str | None,
        typer.Option(metavar="HxW", help="Size that images are brought to: 32 or 24x32; theirs if not given."),
    ] = None,
    recipe: RecipeFile = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs, in place of the recipe's.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed, in place of the recipe's.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the training that was stopped in --out.")
    ] = False,
    teacher: Teachers = None,
    as_json: Json = False,
) -> None:
    """Train a network of the zoo on a folder of images.

    Leaves model.safetensors, the weights of the epoch that was best on the validation images, and training.json in the
    output folder. After Ctrl-C or a full disk, the same command with --resume goes on exactly where it was.

    \b
    Example:
      pocketcnn train photos --network mobilenet_v2 --width 0.5 --size 96 --out trained
    """
    output = Output(as_json)
    job = prepare(data, network, width, size, chosen_recipe(recipe, epochs, seed), teacher)
    for line in (*job.folder.report.summary(), *job.folder.notes):
        output.say(line)
    from pocketcnn.graph.model_file import save

    trained, document = run(job, out, resume=resume, output=output)
    save(out / MODEL_FILE, trained)
    write_text(out / FIGURES_FILE, json.dumps(plain(document), indent=2) + "\n")
    output.json(document)
    output.print(f"{job.plan.name}, best of {job.recipe.epochs} epochs: epoch {document['best_epoch']}")
    output.print(f"val accuracy   {percent(document['val_accuracy'])}")
    output.print(f"test accuracy  {percent(document['test']['top1'])} of {document['test']['images']} images")
    output.print(f"model file     {out / MODEL_FILE}")


@dataclass(frozen=True)
class Job:
    """Everything that a training needs, checked."""

    plan: Buildable
    folder: "ImageFolder"
    contract: "InputContract"
    sets: "Sets"
    recipe: "Recipe"
    teachers: tuple[Classifier, ...] | None


def chosen_recipe(file: Path | None, epochs: int | None, seed: int | None) -> "Recipe":
    """The recipe of `file`, or the default one, with what the command line says put in its place."""
    from pocketcnn.training import Recipe

    changes = {name: value for name, value in (("epochs", epochs), ("seed", seed)) if value is not None}
    return (Recipe.from_toml(file) if file else Recipe()).with_(**changes)


def prepare(
    data: Path, network: str, width: float, size: str | None, recipe: "Recipe", teacher_files: Sequence[Path] | None
) -> Job:
    """Read the folder and decide what is trained on what. The first teacher lends its input contract.

    Raises:
        UsageError: a name, a size or a folder is wrong, or the teacher is for other images or classes.
    """
    from pocketcnn.data import infer_contract, scan
    from pocketcnn.models import network_options
    from pocketcnn.pipeline.architecture_plan import ArchitecturePlan
    from pocketcnn.pipeline.candidates import Plan
    from pocketcnn.pipeline.recipes import datasets
    from pocketcnn.search.architecture import is_architecture_file

    is_library = is_library_name(network)
    if is_library:
        recipe = recipe.with_(gradient_clip=recipe.gradient_clip or LIBRARY_CLIP)
    elif is_architecture_file(network):
        if width != 1.0:
            raise UsageError(f"--width is for networks of the zoo; {network} says how wide its network is.")
    else:
        network_options(network)  # an unknown name ends here, before the images are read
    wanted = parse_size(size) if size else None
    teachers = tuple(map(load_classifier, teacher_files or ()))
    folder = scan(data, seed=recipe.seed)
    for teacher in teachers:
        check_classes(teacher, folder)
    if teachers:
        _check_size(teachers[0], wanted)
    contract = teachers[0].contract if teachers else infer_contract(folder, wanted, channels_of(network))
    images = (contract.channels, (contract.height, contract.width), len(folder.classes))
    plan: Buildable
    if is_architecture_file(network):
        plan = ArchitecturePlan.read(network, *images)
        contract = contract.model_copy(update={"height": plan.size[0], "width": plan.size[1]})
    else:
        plan = (LibraryPlan if is_library else Plan)(network, width, *images)
    return Job(plan, folder, contract, datasets(folder, contract, recipe.augmentation), recipe, teachers)


def run(job: Job, out: Path, *, resume: bool, output: Output) -> tuple["GraphNetwork", dict[str, Any]]:
    """Train; the network, and its figures as they go to JSON.

    Raises:
        UsageError: `out` holds a training that was not to be resumed, or another one.
        Interrupted: Ctrl-C; the message says how to go on.
        PocketcnnError: the disk is full, or the training diverged; the checkpoints before that are kept.
    """
    from pocketcnn import training
    from pocketcnn.graph import GraphNetwork, ModelInfo, capture
    from pocketcnn.layers import inference_form

    module = job.plan.build(job.recipe.seed, for_training=True)
    with training.threads_for(job.contract.height, job.contract.width):
        result = training.train(
            module,
            job.sets.train,
            job.sets.val,
            job.recipe,
            out=out,
            teacher=[as_teacher(each, job.contract, job.folder.classes) for each in job.teachers or ()],
            resume=resume,
            progress=output.progress(job.plan.name),
        )
    info = ModelInfo(name=job.plan.name, input=job.contract, classes=job.folder.classes)
    if isinstance(module, GraphNetwork):
        network = GraphNetwork(module.graph, info)
    else:
        network = GraphNetwork(capture(inference_form(module), (1, *job.contract.shape)), info)
    test = training.evaluate(network, job.sets.test)
    network.info = info.with_stage(stage_of(job, result, test.top1))
    document = {
        "file": out / MODEL_FILE,
        "network": job.plan.network,
        "width": job.plan.width,
        "input": job.contract,
        "images": {split: len(samples) for split, samples in job.folder.splits.items()},
        "data": job.folder.fingerprint,
        "recipe": job.recipe,
        "test": figures_of(test, job.folder.classes),
        **result.as_dict(),
    }
    return network, document


def stage_of(job: Job, result: "TrainResult", test_accuracy: float) -> "Stage":
    """The training as a stage of the network's lineage."""
    from pocketcnn.graph import Stage

    return Stage(
        name="trained",
        settings={
            **job.recipe.model_dump(mode="json"),
            "teacher": " + ".join(t.path.name for t in job.teachers or ()) or None,
        },
        seed=job.recipe.seed,
        data=job.folder.fingerprint,
        figures={"val_accuracy": result.val_accuracy, "test_accuracy": test_accuracy, "best_epoch": result.best_epoch},
    )


def _check_size(teacher: Classifier, wanted: tuple[int, int] | None) -> None:
    own = (teacher.contract.height, teacher.contract.width)
    if wanted not in (None, own):
        raise UsageError(
            f"The teacher {teacher.path} takes images of {format_shape(own)} (height x width), and the network that learns "
            "from it must see the same. Leave --size out."
        )

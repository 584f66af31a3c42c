"""`pocketcnn train`: one network of the zoo on a folder of images."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketcnn.cli.options import Data, Json, Out, RecipeFile, Width
from pocketcnn.cli.output import Output, percent, plain
from pocketcnn.cli.scores import figures_of
from pocketcnn.cli.shapes import format_shape, parse_size
from pocketcnn.cli.sources import Classifier, check_classes, load_classifier
from pocketcnn.errors import UsageError
from pocketcnn.files import write_text

if TYPE_CHECKING:
    from pocketcnn.data import ImageFolder
    from pocketcnn.graph import GraphNetwork, InputContract, Stage
    from pocketcnn.pipeline.candidates import Plan
    from pocketcnn.pipeline.recipes import Sets
    from pocketcnn.training import Recipe, TrainResult

MODEL_FILE, FIGURES_FILE = "model.safetensors", "training.json"


def train(
    data: Data,
    network: Annotated[str, typer.Option(help="Name of a network, see `pocketcnn models`.")],
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
    teacher: Annotated[
        Path | None, typer.Option(help="Model file or ONNX file whose predictions are learned too (distillation).")
    ] = None,
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

    plan: "Plan"
    folder: "ImageFolder"
    contract: "InputContract"
    sets: "Sets"
    recipe: "Recipe"
    teacher: Classifier | None


def chosen_recipe(file: Path | None, epochs: int | None, seed: int | None) -> "Recipe":
    """The recipe of `file`, or the default one, with what the command line says put in its place."""
    from pocketcnn.training import Recipe

    changes = {name: value for name, value in (("epochs", epochs), ("seed", seed)) if value is not None}
    return (Recipe.from_toml(file) if file else Recipe()).with_(**changes)


def prepare(
    data: Path, network: str, width: float, size: str | None, recipe: "Recipe", teacher_file: Path | None
) -> Job:
    """Read the folder and decide what is trained on what.

    Raises:
        UsageError: a name, a size or a folder is wrong, or the teacher is for other images or classes.
    """
    from pocketcnn.data import infer_contract, scan
    from pocketcnn.models import network_options
    from pocketcnn.pipeline.candidates import Plan
    from pocketcnn.pipeline.recipes import datasets

    network_options(network)  # an unknown name ends here, before the images are read
    wanted = parse_size(size) if size else None
    teacher = load_classifier(teacher_file) if teacher_file else None
    folder = scan(data, seed=recipe.seed)
    if teacher:
        check_classes(teacher, folder)
        _check_size(teacher, wanted)
    contract = teacher.contract if teacher else infer_contract(folder, size=wanted)
    plan = Plan(network, width, contract.channels, (contract.height, contract.width), len(folder.classes))
    return Job(plan, folder, contract, datasets(folder, contract, recipe.augmentation), recipe, teacher)


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
            teacher=job.teacher.module if job.teacher else None,
            resume=resume,
            progress=output.progress(job.plan.name),
        )
    info = ModelInfo(name=job.plan.name, input=job.contract, classes=job.folder.classes)
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
        settings={**job.recipe.model_dump(), "teacher": job.teacher.path.name if job.teacher else None},
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

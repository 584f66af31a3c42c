"""`fit`: from a folder of images and a budget to a deployable file that keeps the budget.

Steps: select a network by successive halving among candidates of the zoo, or from a supernet; prune and quantize it to the
budget, with fine-tuning; export; compare the file with PyTorch; measure it; write the result and the report.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pocketcnn.callbacks import no_op
from pocketcnn.data import DataFolder, ImageFolder, describe, infer_contract, scan
from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork, InputContract
from pocketcnn.models import list_models
from pocketcnn.pipeline.candidates import NETWORKS
from pocketcnn.pipeline.compress.shrink import shrink
from pocketcnn.pipeline.compression_run import CompressionRun
from pocketcnn.pipeline.deploy.finish import RunConfig, finish
from pocketcnn.pipeline.effort import Effort, load_effort
from pocketcnn.pipeline.exclusive import writes_to
from pocketcnn.pipeline.fit.parents import FitRun, from_supernet, from_zoo
from pocketcnn.pipeline.recipes import SplitsBySize, TrainingRecipes, base_recipe
from pocketcnn.pipeline.teachers import teachers_of
from pocketcnn.pipeline.workspace import ProgressFor, Say, Workspace, fingerprint_of, quiet
from pocketcnn.records.result import FitResult
from pocketcnn.targets import Budget
from pocketcnn.training import Recipe, threads_for


@writes_to("out")
def fit(
    data: str | Path | DataFolder,
    budget: str | Budget,
    out: str | Path,
    *,
    effort: str | Effort = "low",
    seed: int = 0,
    networks: Sequence[str] | None = None,
    recipe: Recipe | None = None,
    teachers: Sequence[GraphNetwork] = (),
    progress_for: ProgressFor = quiet,
    say: Say = no_op,
    command: str = "",
    force: bool = False,
) -> FitResult:
    """Train a network for the images in `data` that keeps `budget`, and write it to `out`.

    `out` then contains `model.safetensors`, the deployable `model.onnx` with its sidecar `model.json` and `predict.py`,
    `result.json`, `stages.csv` and `report.html`. All choices use the validation images; report the accuracy on the test
    images. The same call resumes an interrupted run.

    Args:
        data: a folder of images, see `pocketcnn.data.scan`.
        budget: limits such as ``size<=60kB, latency<=1ms@onnxruntime-cpu``.
        out: the folder for the results.
        effort: ``quick``, ``low``, ``medium`` or ``high``, or an `Effort`: the amount of training.
        seed: of the split of the images and of all trainings.
        networks: names of the zoo to choose from; `NETWORKS` if not given. Without names, the effort ``high`` takes
            sub-networks of a supernet as candidates, and prunes by NetAdapt.
        recipe: replaces the default recipe of all trainings. The effort sets epochs, warm-up and the learning rates of
            fine-tuning.
        teachers: trained networks with the same classes, as `load` provides them: further teachers of every training.
        progress_for: creates the progress display of a training from its title.
        say: called with each status message.
        command: the command line, for the report.
        force: keep a deployable file that does not compute what the network computes, with a warning in the result.

    Returns:
        The result. If the budget could not be kept, `met` is False and `closest_miss` names the missed limits. The files are
        written all the same.

    Raises:
        UsageError: the folder, the budget or a name is wrong.
        PocketcnnError: `model.onnx` does not compute what the network computes, and not `force`.
        Interrupted: Ctrl-C; the work so far is kept.
    """
    started = time.monotonic()
    requested = (budget if isinstance(budget, Budget) else Budget.parse(budget)).with_device_limits()
    size, base = load_effort(effort), base_recipe(recipe)
    named = NETWORKS if networks is None else tuple(networks)
    _check_networks(named)
    folder = scan(data, seed=seed)
    contract = infer_contract(folder)
    for line in describe(folder, contract):
        say(line)
    teachers_for = teachers_of(teachers, folder.classes)
    teachers_for(contract)  # raises if a teacher has other images or classes
    say(_folder_summary(folder, contract))
    with threads_for(contract.height, contract.width):
        trainings = TrainingRecipes(size, len(folder.train), seed, base)
        settings = {
            "data": folder.fingerprint,
            **({"resize": folder.resize} if folder.resize else {}),
            "budget": str(requested),
            "effort": asdict(size),
            "seed": seed,
        }
        settings |= {"networks": list(named), "recipe": trainings.base.model_dump()}
        settings["teachers"] = [fingerprint_of(teacher) for teacher in teachers]
        workspace = Workspace.of(Path(out), settings, progress_for, teachers_for)
        sets = SplitsBySize(folder, contract, trainings.base.augmentation)
        fit_run = FitRun(folder, contract, requested, trainings, sets, workspace, say, Path(out))
        parent = from_supernet(fit_run) if _uses_supernet(size, networks) else from_zoo(fit_run, named)
        run = CompressionRun(
            parent.sets, parent.limits, trainings, workspace, say, folder.fingerprint, pruner=parent.pruner
        )
        run.record("trained", parent.network, settings=parent.settings, seconds=time.monotonic() - started)
        config = RunConfig(requested, folder, Path(out), seed, command, started, force)
        return finish(parent.network, run, config, shrink, parent.candidates, parent.plan)


def _uses_supernet(effort: Effort, networks: Sequence[str] | None) -> bool:
    """Whether the candidates are sub-networks of a supernet: not if networks of the zoo are named."""
    return effort.source == "supernet" and networks is None


def _check_networks(networks: Sequence[str]) -> None:
    unknown = [name for name in networks if name not in list_models()]
    if unknown or not networks:
        raise UsageError(f"There is no network {', '.join(unknown) or 'to choose from'}. {_choices()}")


def _choices() -> str:
    return f"The zoo has {', '.join(list_models())}."


def _folder_summary(folder: ImageFolder, contract: InputContract) -> str:
    counts = f"{len(folder.train)} training, {len(folder.val)} validation, {len(folder.test)} test images"
    kind = "grey" if contract.channels == 1 else "RGB"
    return f"{folder.root.name}: {len(folder.classes)} classes, {counts}, {contract.width}x{contract.height} {kind}"

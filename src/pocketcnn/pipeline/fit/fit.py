"""`fit`: a folder of images and a budget in, a deployable file that keeps the budget out.

List the networks of the zoo that can meet the budget and train them by successive halving, or take the best sub-networks of a
supernet; prune and quantize the best to the budget, recovering against the unpruned parent; export; run the file beside
PyTorch; measure it; write down what was found.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pocketcnn.callbacks import no_op
from pocketcnn.data import ImageFolder, infer_contract, scan
from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork, InputContract
from pocketcnn.models import list_models
from pocketcnn.pipeline.candidates import NETWORKS
from pocketcnn.pipeline.compress.shrink import shrink
from pocketcnn.pipeline.compression_run import CompressionRun
from pocketcnn.pipeline.deploy.finish import RunConfig, finish
from pocketcnn.pipeline.effort import Effort, load_effort
from pocketcnn.pipeline.fit.parents import FitRun, from_supernet, from_zoo
from pocketcnn.pipeline.recipes import SplitsBySize, TrainingRecipes, base_recipe
from pocketcnn.pipeline.teachers import teachers_of
from pocketcnn.pipeline.workspace import ProgressFor, Say, Workspace, fingerprint_of, quiet
from pocketcnn.records.result import FitResult
from pocketcnn.targets import Budget
from pocketcnn.training import Recipe, threads_for


def fit(
    data: str | Path,
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
) -> FitResult:
    """Fit a network to the images in `data` and to `budget`, and leave it in `out`.

    `out` then holds `model.safetensors`, the deployable `model.onnx` with its sidecar `model.json`, `result.json` and
    `report.html`. Choices are made on the validation images; the figures to quote are of the test images. The same command
    goes on where an earlier one was stopped.

    Args:
        data: a folder of images, see `pocketcnn.data.scan`.
        budget: limits such as ``size<=60kB, latency<=1ms@onnxruntime-cpu``.
        effort: ``quick``, ``low``, ``medium`` or ``high``, or an `Effort`: how much is trained.
        networks: names of the zoo to choose from; `NETWORKS` if not given. With ``high`` effort the candidates are sub-networks
            of a supernet, and NetAdapt prunes, unless some are named.
        recipe: replaces the default recipe of all trainings; epochs, rates of fine-tuning and warm-up follow from the effort.
        teachers: trained networks for the same classes that every training learns from, as `load` gives them.
        progress_for: makes the progress display of a training from its title.
        say: is told each thing that was found out.
        command: what the user typed, for the report.

    Returns:
        The result; `met` is False where the budget could not be kept, and `closest_miss` says by how much. The files are there
        all the same.

    Raises:
        UsageError: the folder, the budget or a name is wrong.
        Interrupted: Ctrl-C; the work so far is kept.
    """
    started = time.monotonic()
    wanted = (budget if isinstance(budget, Budget) else Budget.parse(budget)).with_device_limits()
    size, base = load_effort(effort), base_recipe(recipe)
    named = NETWORKS if networks is None else tuple(networks)
    _check_networks(named)
    folder = scan(Path(data), seed=seed)
    contract = infer_contract(folder)
    teaching = teachers_of(teachers, folder.classes)
    teaching(contract)  # one that is for other images or classes ends here
    say(_folder_in_words(folder, contract))
    with threads_for(contract.height, contract.width):
        trainings = TrainingRecipes(size, len(folder.train), seed, base)
        settings = {
            "data": folder.fingerprint,
            "budget": str(wanted),
            "effort": asdict(size),
            "seed": seed,
        }
        settings |= {"networks": list(named), "recipe": trainings.base.model_dump()}
        settings["teachers"] = [fingerprint_of(teacher) for teacher in teachers]
        workspace = Workspace.of(Path(out), settings, progress_for, teaching)
        sets = SplitsBySize(folder, contract, trainings.base.augmentation)
        fit_run = FitRun(folder, contract, wanted, trainings, sets, workspace, say, Path(out))
        found = from_supernet(fit_run) if _takes_supernet(size, networks) else from_zoo(fit_run, named)
        run = CompressionRun(
            found.sets, found.limits, trainings, workspace, say, folder.fingerprint, pruner=found.pruner
        )
        run.record("trained", found.network, settings=found.settings, seconds=time.monotonic() - started)
        ask = RunConfig(wanted, folder, Path(out), seed, command, started)
        return finish(found.network, run, ask, shrink, found.candidates, found.plan)


def _takes_supernet(effort: Effort, networks: Sequence[str] | None) -> bool:
    """Who names networks wants those."""
    return effort.source == "supernet" and networks is None


def _check_networks(networks: Sequence[str]) -> None:
    unknown = [name for name in networks if name not in list_models()]
    if unknown or not networks:
        raise UsageError(f"There is no network {', '.join(unknown) or 'to choose from'}. {_choices()}")


def _choices() -> str:
    return f"The zoo has {', '.join(list_models())}."


def _folder_in_words(folder: ImageFolder, contract: InputContract) -> str:
    counts = f"{len(folder.train)} training, {len(folder.val)} validation, {len(folder.test)} test images"
    kind = "grey" if contract.channels == 1 else "RGB"
    return f"{folder.root.name}: {len(folder.classes)} classes, {counts}, {contract.width}x{contract.height} {kind}"

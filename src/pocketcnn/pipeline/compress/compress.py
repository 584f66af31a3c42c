"""`compress`: prunes and quantizes a trained network until it keeps a budget."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from pocketcnn.callbacks import no_op
from pocketcnn.compression.evaluator import absolute
from pocketcnn.data import DataFolder, describe, scan
from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork
from pocketcnn.pipeline.compress.restructure import resized, restructure
from pocketcnn.pipeline.compress.shrink import shrink
from pocketcnn.pipeline.compress.strategies import OPTIONS_READ, check_strategy, pruner_of
from pocketcnn.pipeline.compression_method import CompressionMethod
from pocketcnn.pipeline.compression_run import CompressionRun
from pocketcnn.pipeline.deploy.finish import RunConfig, finish
from pocketcnn.pipeline.effort import Effort, load_effort
from pocketcnn.pipeline.exclusive import writes_to
from pocketcnn.pipeline.option_use import changed, check_used
from pocketcnn.pipeline.recipes import TrainingRecipes, base_recipe, clipped_for, datasets
from pocketcnn.pipeline.teachers import teachers_of
from pocketcnn.pipeline.workspace import ProgressFor, Say, Workspace, fingerprint_of, quiet
from pocketcnn.records.result import FitResult
from pocketcnn.targets import Budget
from pocketcnn.training import Recipe, threads_for


@writes_to("out")
def compress(
    network: GraphNetwork,
    data: str | Path | DataFolder,
    budget: str | Budget,
    out: str | Path,
    *,
    effort: str | Effort = "low",
    seed: int = 0,
    strategy: str = "rank",
    recipe: Recipe | None = None,
    method: CompressionMethod | None = None,
    teachers: Sequence[GraphNetwork] = (),
    progress_for: ProgressFor = quiet,
    say: Say = no_op,
    command: str = "",
    force: bool = False,
) -> FitResult:
    """Prune and quantize a trained float network until it keeps `budget`, and recover the accuracy by fine-tuning.

    The same files as from `fit` are written to `out`. Percentages in the budget refer to the given network. The same call
    resumes an interrupted run.

    Args:
        network: with its input contract and classes in `info`, as `load` provides them.
        data: a folder of images with the same classes.
        budget: limits such as ``macs<=50%, size<=100kB``.
        out: the folder for the results.
        effort: ``quick``, ``low``, ``medium`` or ``high``, or an `Effort`: the amount of training.
        seed: of the split into train, val and test. Use that of the training: with another, training images become test images.
        strategy: how much of each layer is pruned. ``rank`` ranks all channels at once. ``netadapt`` prunes one layer at a
            time and compares the proposals by short fine-tuning. ``amc`` uses reinforcement learning and is provided for
            study. The latter two predict latencies from the latency table of the target, and write their record to the
            folder ``automatic`` in `out`. See `strategies.STRATEGIES`.
        recipe: replaces the default recipe of all trainings. The effort sets the number of epochs.
        method: options of the compression.
        teachers: further teachers, beside the unpruned network, in every fine-tuning.
        progress_for: creates the progress display of a training from its title.
        say: called with each status message.
        command: the command line, for the report.
        force: keep a deployable file that does not compute what the network computes, with a warning in the result.

    Raises:
        UsageError: the network is quantized, has no input contract, or has other classes than the folder; or there is no
            such strategy, its latency table is missing, or it does not use an option of `method`.
        PocketcnnError: `model.onnx` does not compute what the network computes, and not `force`.
        Interrupted: Ctrl-C; the work so far is kept.
    """
    started = time.monotonic()
    check_strategy(strategy)
    options = method or CompressionMethod()
    check_used("strategy", strategy, OPTIONS_READ, changed(asdict(options), asdict(CompressionMethod())))
    requested = (budget if isinstance(budget, Budget) else Budget.parse(budget)).with_device_limits()
    if network.numerics:
        raise UsageError("This network is already quantized. Compress the float network that it was made from.")
    contract = network.info.input
    if contract is None:
        raise UsageError("This network has no input contract, so images cannot be prepared for it. Save it with one.")
    folder = scan(data, seed=seed)
    if folder.classes != network.info.classes:
        raise UsageError(
            f"The network has the classes {', '.join(network.info.classes)}, "
            f"the folder {data} has {', '.join(folder.classes)}. Train it on these images first."
        )
    for line in describe(folder, contract):
        say(line)
    network = GraphNetwork(network.graph, network.info)  # so that the lineage of the given network does not change
    size, base = load_effort(effort), clipped_for(network, base_recipe(recipe))
    trainings = TrainingRecipes(size, len(folder.train), seed, base)
    settings = {"network": fingerprint_of(network), "data": folder.fingerprint, "budget": str(requested), "seed": seed}
    settings |= {"effort": asdict(size), "recipe": trainings.base.model_dump(), "method": asdict(options)}
    settings |= {"strategy": strategy, "teachers": [fingerprint_of(teacher) for teacher in teachers]}
    teachers_for = teachers_of(teachers, folder.classes)
    teachers_for(contract)  # raises if a teacher has other images or classes
    workspace = Workspace.of(Path(out), settings, progress_for, teachers_for)
    deployed_contract = resized(network, options.resolution).info.input
    sets = datasets(folder, contract, trainings.base.augmentation)
    with threads_for(contract.height, contract.width):
        limits = workspace.budget(f"{requested} of the given network", lambda: absolute(requested, network.graph))
        pruner = pruner_of(strategy, Path(out))
        run = CompressionRun(sets, limits, trainings, workspace, say, folder.fingerprint, method=options, pruner=pruner)
        run.record("given", network, settings={}, seconds=0.0)
        parent = network
        if deployed_contract is not None and deployed_contract != contract:
            run = replace(run, sets=datasets(folder, deployed_contract, trainings.base.augmentation))
        if options.restructures:
            parent = restructure(network, run)
        return finish(parent, run, RunConfig(requested, folder, Path(out), seed, command, started, force), shrink)

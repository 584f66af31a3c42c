"""`compress`: a trained network in, the same network within a budget out."""

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from pocketcnn.callbacks import no_op
from pocketcnn.compression.evaluator import absolute
from pocketcnn.data import scan
from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork
from pocketcnn.pipeline.compress.restructure import resized, restructure
from pocketcnn.pipeline.compress.shrink import shrink
from pocketcnn.pipeline.compress.strategies import OPTIONS_READ, check_strategy, pruner_of
from pocketcnn.pipeline.compression_method import CompressionMethod
from pocketcnn.pipeline.compression_run import CompressionRun
from pocketcnn.pipeline.deploy.finish import RunConfig, finish
from pocketcnn.pipeline.effort import Effort, load_effort
from pocketcnn.pipeline.option_use import changed, check_used
from pocketcnn.pipeline.recipes import TrainingRecipes, base_recipe, datasets
from pocketcnn.pipeline.teachers import teachers_of
from pocketcnn.pipeline.workspace import ProgressFor, Say, Workspace, fingerprint_of, quiet
from pocketcnn.records.result import FitResult
from pocketcnn.targets import Budget
from pocketcnn.training import Recipe, threads_for


def compress(
    network: GraphNetwork,
    data: str | Path,
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
) -> FitResult:
    """Prune and quantize a trained float network until it keeps `budget`, with recovery on the images in `data`.

    Leaves the same files in `out` as `fit`. Percentages in the budget are of the network as it is given.

    Args:
        network: with its input contract and classes in `info`, as `load` gives it.
        data: a folder of images with the same classes.
        seed: of the split into train, val and test: that of the training, lest test images were trained on.
        strategy: how much of each layer is pruned: ``rank`` ranks all channels at once; ``netadapt`` narrows layer after layer
            and tries each choice by a short training; ``amc`` learns it by reinforcement. The latter two predict latencies
            from the latency table of the target, and leave what they found out in the folder ``automatic``; ``amc`` is there
            for study. See `strategies.STRATEGIES`.
        method: how it is made smaller, where there is a choice.
        teachers: networks that are learned from beside the unpruned one whenever something is fine-tuned.

    Raises:
        UsageError: the network is quantized, lacks its contract, or was trained for other classes; there is no such
            strategy, it needs a latency table that is not there, or it does not read what `method` asks for.
        Interrupted: Ctrl-C; the work so far is kept.
    """
    started = time.monotonic()
    check_strategy(strategy)
    how = method or CompressionMethod()
    check_used("strategy", strategy, OPTIONS_READ, changed(asdict(how), asdict(CompressionMethod())))
    wanted = (budget if isinstance(budget, Budget) else Budget.parse(budget)).with_device_limits()
    if network.numerics:
        raise UsageError("This network is quantized already. Compress the float network that it was made from.")
    contract = network.info.input
    if contract is None:
        raise UsageError("This network does not say how images become its input. Save it with an input contract.")
    folder = scan(Path(data), seed=seed)
    if folder.classes != network.info.classes:
        raise UsageError(
            f"The network knows the classes {', '.join(network.info.classes)}, "
            f"the folder {data} has {', '.join(folder.classes)}. Train it on these images first."
        )
    network = GraphNetwork(network.graph, network.info)  # the given one keeps its lineage
    size, base = load_effort(effort), base_recipe(recipe)
    trainings = TrainingRecipes(size, len(folder.train), seed, base)
    settings = {"network": fingerprint_of(network), "data": folder.fingerprint, "budget": str(wanted), "seed": seed}
    settings |= {"effort": asdict(size), "recipe": trainings.base.model_dump(), "method": asdict(how)}
    settings |= {"strategy": strategy, "teachers": [fingerprint_of(teacher) for teacher in teachers]}
    teaching = teachers_of(teachers, folder.classes)
    teaching(contract)  # one that is for other images or classes ends here
    workspace = Workspace.of(Path(out), settings, progress_for, teaching)
    smaller = resized(network, how.resolution).info.input
    sets = datasets(folder, contract, trainings.base.augmentation)
    with threads_for(contract.height, contract.width):
        limits = workspace.budget(f"{wanted} of the given network", lambda: absolute(wanted, network.graph))
        pruner = pruner_of(strategy, Path(out))
        run = CompressionRun(sets, limits, trainings, workspace, say, folder.fingerprint, method=how, pruner=pruner)
        run.record("given", network, settings={}, seconds=0.0)
        parent = network
        if smaller is not None and smaller != contract:
            run = replace(run, sets=datasets(folder, smaller, trainings.base.augmentation))
        if how.restructures:
            parent = restructure(network, run)
        return finish(parent, run, RunConfig(wanted, folder, Path(out), seed, command, started), shrink)

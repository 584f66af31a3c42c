"""`compress`: a trained network in, the same network within a budget out."""

import time
from dataclasses import asdict
from pathlib import Path

from pocketcnn.data import scan
from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork
from pocketcnn.pipeline.effort import Effort, load_effort
from pocketcnn.pipeline.figures import absolute
from pocketcnn.pipeline.finish import Request, finish
from pocketcnn.pipeline.recipes import RECIPE, Trainings, datasets
from pocketcnn.pipeline.shrink import Bench
from pocketcnn.pipeline.workspace import ProgressFor, Say, Workspace, fingerprint_of, quiet, silent
from pocketcnn.report.result import FitResult
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
    recipe: Recipe | None = None,
    progress_for: ProgressFor = quiet,
    say: Say = silent,
    command: str = "",
) -> FitResult:
    """Prune and quantize a trained float network until it keeps `budget`, with recovery on the images in `data`.

    Leaves the same files in `out` as `fit`. Percentages in the budget are of the network as it is given.

    Args:
        network: with its input contract and classes in `info`, as `load` gives it.
        data: a folder of images with the same classes.
        seed: of the split into train, val and test: that of the training, lest test images were trained on.

    Raises:
        UsageError: the network is quantized, lacks its contract, or was trained for other classes.
        Interrupted: Ctrl-C; the work so far is kept.
    """
    started = time.monotonic()
    wanted = (budget if isinstance(budget, Budget) else Budget.parse(budget)).with_device_limits()
    if network.numerics:
        raise UsageError("This network is quantized already. Compress the float network that it was made from.")
    if network.info.input is None:
        raise UsageError("This network does not say how images become its input. Save it with an input contract.")
    folder = scan(Path(data), seed=seed)
    if folder.classes != network.info.classes:
        raise UsageError(
            f"The network knows the classes {', '.join(network.info.classes)}, "
            f"the folder {data} has {', '.join(folder.classes)}. Train it on these images first."
        )
    size = load_effort(effort)
    trainings = Trainings(size, len(folder.train), seed, recipe or RECIPE)
    settings = {"network": fingerprint_of(network), "data": folder.fingerprint, "budget": str(wanted), "seed": seed}
    settings |= {"effort": asdict(size), "recipe": trainings.base.model_dump()}
    workspace = Workspace.of(Path(out), settings, progress_for)
    sets = datasets(folder, network.info.input, trainings.base.augmentation)
    with threads_for(network.info.input.height, network.info.input.width):
        bench = Bench(sets, absolute(wanted, network.graph), trainings, workspace, say, folder.fingerprint)
        bench.record("given", network, settings={}, seconds=0.0)
        return finish(network, bench, Request(wanted, folder, Path(out), seed, command, started))

"""The library's criteria, spreads and reconstruction."""

from functools import partial

from benchmarks.compression.pruning_table.task import Failed, Method, Task
from pocketcnn.compression.pruning.importance import CRITERIA
from pocketcnn.compression.pruning.prune import PruneSettings, plan
from pocketcnn.compression.pruning.reconstruction import reconstruct
from pocketcnn.errors import BudgetNotMet
from pocketcnn.graph import Graph


def pruned(task: Task, *, criterion: str, allocation: str = "global", mend: bool = False) -> Graph:
    """The network at the bound.

    Raises:
        Failed: even the narrowest network is above it.
    """
    graph = task.parent.graph
    settings = PruneSettings(
        criterion, multiple=task.multiple, min_channels=task.multiple, seed=task.seed, allocation=allocation
    )
    try:
        found = plan(graph, task.fits, settings, batches=task.batches, by_shape=True)
    except BudgetNotMet as error:
        raise Failed(str(error)) from error
    narrower = found.apply(graph)
    return reconstruct(graph, narrower, found.coupling, found.classes, task.images) if mend else narrower


OURS: dict[str, Method] = {
    **{name: partial(pruned, criterion=name) for name in CRITERIA},
    "energy, uniform": partial(pruned, criterion="energy", allocation="uniform"),
    "energy, reconstructed": partial(pruned, criterion="energy", mend=True),
}

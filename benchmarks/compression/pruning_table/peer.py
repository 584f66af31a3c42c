"""Torch-Pruning with each of its importances."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.compression.pruning_table.task import Failed, Method, Task
from benchmarks.compression.torch_pruning_peer import narrowed, told
from pocketcnn.graph import Graph

SEEN = 1
"""Batches of 64 images that its Taylor importance sees anew at each step."""


def torch_pruning(task: Task, *, importance: str) -> Graph:
    """Global pruning with one of its importances, the classifier left alone, widths in the multiple that ours have.

    Raises:
        Failed: it cannot prune the network, or its narrowest network is above the bound; the message is its own.
    """

    def gradients(module: nn.Module) -> None:
        if importance == "GroupTaylorImportance":
            module.zero_grad()
            for images, labels in task.batches[:SEEN]:
                F.cross_entropy(module(images), labels).backward()

    try:
        import torch_pruning as tp

        torch.manual_seed(task.seed)
        chosen = getattr(tp.importance, importance)()
        graph = narrowed(task.module, torch.randn(task.shape), task.fits, chosen, task.multiple, gradients)
    except Exception as error:  # whatever goes wrong inside the peer is its result
        raise Failed(told(error, 160)) from error
    if graph is None:
        raise Failed("its narrowest network does not keep the bound")
    return graph


IMPORTANCES: dict[str, str] = {
    "magnitude": "GroupMagnitudeImportance",
    "bn_scale": "BNScaleImportance",
    "taylor": "GroupTaylorImportance",
    "fpgm": "FPGMImportance",
    "random": "RandomImportance",
}

PEERS: dict[str, Method] = {
    f"Torch-Pruning, {name}": partial(torch_pruning, importance=importance) for name, importance in IMPORTANCES.items()
}

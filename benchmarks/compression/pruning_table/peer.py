"""Torch-Pruning: its pruner goes on in small steps until the network keeps the bound."""

import copy
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from pocketcnn.graph import Graph, capture
from pruning_table.task import Failed, Method, Task

STEPS = 50
SEEN = 1
"""Batches of 64 images that its Taylor importance sees anew at each step."""
MOST = 0.9
"""No layer loses a larger share of its channels, as with ours."""


def torch_pruning(task: Task, *, importance: str) -> Graph:
    """Global pruning with one of its importances, the classifier left alone, widths in the multiple that ours have.

    Raises:
        Failed: it cannot prune the network, or its narrowest network is above the bound; the message is its own.
    """
    module = copy.deepcopy(task.module).eval()
    try:
        pruner = _pruner(module, task, importance)
        for _ in range(STEPS):
            if importance == "GroupTaylorImportance":
                _gradients(module, task)
            pruner.step()
            graph = capture(module, task.shape)
            if task.fits(graph):
                return graph
    except Exception as error:  # whatever goes wrong inside the peer is its result
        told = (str(error).splitlines() or [""])[0]
        raise Failed(f"{type(error).__name__}: {told}"[:160]) from error
    raise Failed("its narrowest network does not keep the bound")


def _pruner(module: nn.Module, task: Task, importance: str) -> Any:
    import torch_pruning as tp

    torch.manual_seed(task.seed)
    return tp.pruner.BasePruner(
        module,
        torch.randn(task.shape),
        importance=getattr(tp.importance, importance)(),
        global_pruning=True,
        pruning_ratio=MOST,
        max_pruning_ratio=MOST,
        iterative_steps=STEPS,
        round_to=task.multiple,
        ignored_layers=[layer for layer in module.modules() if isinstance(layer, nn.Linear)],
    )


def _gradients(module: nn.Module, task: Task) -> None:
    module.zero_grad()
    for images, labels in task.batches[:SEEN]:
        F.cross_entropy(module(images), labels).backward()


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

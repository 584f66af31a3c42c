"""Torch-Pruning at the same bound: its pruner goes on in small steps until the network keeps it."""

import copy

import torch
from torch import nn

from automatic_table.task import Task
from pocketcnn.errors import BudgetNotMet
from pocketcnn.graph import Graph, capture

STEPS = 50
"""Steps on the way to the narrowest network."""

MOST = 0.9
"""No layer loses a larger share of its channels, as with ours."""


class PeerFailed(Exception):
    """Torch-Pruning could not prune the network."""


def torch_pruning(task: Task) -> Graph:
    """Group magnitude importance over the whole network, as its documentation recommends, the classifier left alone.

    Raises:
        PeerFailed: it does not handle the network; the message is its own.
        BudgetNotMet: its narrowest network does not keep the bound.
    """
    import torch_pruning as tp

    module = copy.deepcopy(task.module)
    shape = (1, 1, task.setting.side, task.setting.side)
    try:
        pruner = tp.pruner.BasePruner(
            module,
            torch.randn(shape),
            importance=tp.importance.GroupMagnitudeImportance(p=2),
            global_pruning=True,
            pruning_ratio=MOST,
            max_pruning_ratio=MOST,
            iterative_steps=STEPS,
            round_to=task.setting.multiple,
            ignored_layers=[layer for layer in module.modules() if isinstance(layer, nn.Linear)],
        )
        for _ in range(STEPS):
            pruner.step()
            graph = capture(module.eval(), shape)
            if task.fits(graph):
                return graph
    except Exception as error:
        raise PeerFailed(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]) from error
    raise BudgetNotMet("Torch-Pruning's narrowest network does not keep the bound.")

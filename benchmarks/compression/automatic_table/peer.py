"""Torch-Pruning at the same bound."""

import torch

from benchmarks.compression.automatic_table.task import Task
from benchmarks.compression.torch_pruning_peer import narrowed, told
from pocketcnn.errors import BudgetNotMet
from pocketcnn.graph import Graph


class PeerFailed(Exception):
    """Torch-Pruning could not prune the network."""


def torch_pruning(task: Task) -> Graph:
    """Group magnitude importance over the whole network, as its documentation recommends, the classifier left alone.

    Raises:
        PeerFailed: it does not handle the network; the message is its own.
        BudgetNotMet: its narrowest network does not keep the bound.
    """
    import torch_pruning as tp

    example = torch.randn(1, 1, task.setting.side, task.setting.side)
    try:
        graph = narrowed(
            task.module, example, task.fits, tp.importance.GroupMagnitudeImportance(p=2), task.setting.multiple
        )
    except Exception as error:
        raise PeerFailed(told(error, 200)) from error
    if graph is None:
        raise BudgetNotMet("Torch-Pruning's narrowest network does not keep the bound.")
    return graph

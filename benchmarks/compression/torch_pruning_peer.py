"""Torch-Pruning at a bound of ours: its pruner goes on in small steps until the network keeps it."""

import copy
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from pocketcnn.graph import Graph, capture

STEPS = 50
"""Steps on the way to the narrowest network."""

MOST = 0.9
"""No layer loses a larger share of its channels, as with ours."""


def narrowed(
    module: nn.Module,
    example: Tensor,
    fits: Callable[[Graph], bool],
    importance: Any,
    multiple: int,
    before_step: Callable[[nn.Module], None] | None = None,
) -> Graph | None:
    """`module` in eval mode, pruned over the whole network, the classifier left alone; None if its narrowest form does not fit.

    Args:
        example: (1, C, H, W).
        importance: one of Torch-Pruning's.
        multiple: of all widths.
        before_step: is shown the network before each step.
    """
    import torch_pruning as tp

    module = copy.deepcopy(module).eval()
    pruner = tp.pruner.BasePruner(
        module,
        example,
        importance=importance,
        global_pruning=True,
        pruning_ratio=MOST,
        max_pruning_ratio=MOST,
        iterative_steps=STEPS,
        round_to=multiple,
        ignored_layers=[layer for layer in module.modules() if isinstance(layer, nn.Linear)],
    )
    for _ in range(STEPS):
        if before_step is not None:
            before_step(module)
        pruner.step()
        graph = capture(module, tuple(example.shape))
        if fits(graph):
            return graph
    return None


def told(error: Exception, most: int) -> str:
    """What went wrong inside the library, in one line of at most so many characters."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"[:most]

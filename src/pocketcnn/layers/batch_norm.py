"""Batch normalisation with a paper's constants.

TensorFlow states the decay of the running statistics, torch their momentum: momentum = 1 - decay.
"""

from collections.abc import Callable
from functools import partial

from torch import nn

Norm = Callable[[int], nn.Module]
"""Channels -> a new normalisation layer."""


def batch_norm(*, eps: float, decay: float) -> Norm:
    """A maker of `nn.BatchNorm2d` with these constants; `decay` as TensorFlow's codes and the papers print it."""
    return partial(nn.BatchNorm2d, eps=eps, momentum=1 - decay)


def set_batch_norm(network: nn.Module, *, momentum: float | None = None, eps: float | None = None) -> None:
    """Change the constants of every batch norm in place; None leaves a constant as it is.

    The papers' momenta (3e-4 to 1e-2) suit trainings of 10⁵ steps. A training of a few hundred steps ends before such
    running statistics have left their initial values, and needs a momentum near 0.1.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = module.momentum if momentum is None else momentum
            module.eps = module.eps if eps is None else eps

"""Batch norm's running statistics in a short training.

The papers' networks average them slowly (MobileNetV2: 0.3 % a batch, for half a million steps on ImageNet). In a
training of some hundred steps such statistics would still be near their random start, and a network that classifies
97 % of its batches in train mode would guess in eval mode. So the average opens up first, by the rule that also
governs the average of the weights.
"""

import contextlib
from collections.abc import Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pocketcnn.training.ema import decay_at


class StatisticsWarmup:
    """Sets the momentum of a network's batch norms for each step: 9 / (10 + step), until it falls to their own."""

    def __init__(self, network: nn.Module) -> None:
        self._own = [
            (module, module.momentum)
            for module in network.modules()
            if isinstance(module, _BatchNorm) and module.momentum is not None  # None is a cumulative average
        ]
        self._lowest = min((momentum for _, momentum in self._own), default=1.0)
        self._done = False

    def set_for(self, step: int) -> None:
        """To be called before the forward pass of a step (counted from 0)."""
        if self._done:
            return
        open_ = 1 - decay_at(step, 1.0)
        for module, own in self._own:
            module.momentum = max(own, open_)
        self._done = open_ <= self._lowest

    def restore(self) -> None:
        for module, own in self._own:
            module.momentum = own


@contextlib.contextmanager
def warmed_statistics(network: nn.Module) -> Iterator[StatisticsWarmup]:
    """The batch norms have their own momentum again afterwards."""
    warmup = StatisticsWarmup(network)
    try:
        yield warmup
    finally:
        warmup.restore()

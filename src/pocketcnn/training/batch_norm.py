"""Batch norm's running statistics: in a short training, and of a network whose layers have changed.

The papers' networks average them slowly (MobileNetV2: 0.3 % a batch, for half a million steps on ImageNet). In a
training of some hundred steps such statistics would still be near their random start, and a network that classifies
97 % of its batches in train mode would guess in eval mode. So the average opens up first, by the rule that also
governs the average of the weights.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pocketcnn.training.ema import decay_at


class StatisticsWarmup:
    """Splits the momentum of a network's batch norms for each step: 9 / (10 + step), until it falls to their own."""

    def __init__(self, network: nn.Module) -> None:
        self._momenta = [
            (module, module.momentum)
            for module in network.modules()
            if isinstance(module, _BatchNorm) and module.momentum is not None  # None is a cumulative average
        ]
        self._lowest = min((momentum for _, momentum in self._momenta), default=1.0)
        self._done = False

    def set_for(self, step: int) -> None:
        """To be called before the forward pass of a step (counted from 0)."""
        if self._done:
            return
        warm = 1 - decay_at(step, 1.0)
        for module, momentum in self._momenta:
            module.momentum = max(momentum, warm)
        self._done = warm <= self._lowest

    def restore(self) -> None:
        for module, momentum in self._momenta:
            module.momentum = momentum


@contextlib.contextmanager
def warmed_statistics(network: nn.Module) -> Iterator[StatisticsWarmup]:
    """The batch norms have their own momentum again afterwards."""
    warmup = StatisticsWarmup(network)
    try:
        yield warmup
    finally:
        warmup.restore()


def recalibrate(network: nn.Module, images: Tensor, batch_size: int = 128) -> None:
    """Estimate the running statistics of a network's batch norms anew, as plain averages over `images` (N, C, H, W).

    A pruned network's layers see other inputs than its batch norms were told, so it guesses although its weights are good
    (Li et al., "EagleEye: Fast Sub-net Evaluation for Efficient Neural Network Pruning", section 3.3). No weight is changed;
    the network's mode is as before afterwards. The last batch is left out where it is small, as its average would count as much.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    momenta, training, device = [norm.momentum for norm in norms], network.training, next(network.parameters()).device
    batches = [batch for batch in torch.split(images, batch_size) if 2 * len(batch) > min(batch_size, len(images))]
    try:
        network.eval()
        for norm in norms:  # alone in train mode: dropout stays off
            norm.reset_running_stats()
            norm.momentum = None  # the plain average of all batches
            norm.train()
        with torch.no_grad():
            for batch in batches:
                network(batch.to(device))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        network.train(training)

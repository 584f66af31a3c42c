"""Batch-norm running statistics: their warm-up in short trainings, and their recalibration.

The papers average them slowly (MobileNetV2: 0.3 % per batch, over half a million steps on ImageNet). After some hundred steps
such statistics would still be near their initial values, and a network with 97 % accuracy in train mode would be at chance in
eval mode. So the momentum starts high and falls, by the same rule as the decay of the weight average (EMA).
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pocketcnn.training.ema import decay_at


class StatisticsWarmup:
    """Sets the momentum of a network's batch norms for each step: 9 / (10 + step), until it falls to their own."""

    def __init__(self, network: nn.Module) -> None:
        self._momenta = [
            (module, module.momentum)
            for module in network.modules()
            if isinstance(module, _BatchNorm) and module.momentum is not None  # None means a cumulative average
        ]
        self._lowest = min((momentum for _, momentum in self._momenta), default=1.0)
        self._done = False

    def set_for(self, step: int) -> None:
        """Call before the forward pass of a step (counted from 0)."""
        if self._done:
            return
        warm = 1 - decay_at(step, 1.0)
        for module, momentum in self._momenta:
            module.momentum = max(momentum, warm)
        self._done = warm <= self._lowest

    def restore(self) -> None:
        """Restore the original momenta."""
        for module, momentum in self._momenta:
            module.momentum = momentum


@contextlib.contextmanager
def warmed_statistics(network: nn.Module) -> Iterator[StatisticsWarmup]:
    """A warm-up whose batch norms have their own momentum again afterwards."""
    warmup = StatisticsWarmup(network)
    try:
        yield warmup
    finally:
        warmup.restore()


def recalibrate(network: nn.Module, images: Tensor, batch_size: int = 128) -> None:
    """Estimate the batch-norm statistics of a network again, as plain averages over `images`.

    The inputs of a pruned network's layers no longer match its batch-norm statistics, so its accuracy may be near chance
    although its weights are good (Li et al., "EagleEye: Fast Sub-net Evaluation for Efficient Neural Network Pruning",
    section 3.3). No weight changes, and the network's mode is restored. A small last batch is left out, because its average
    would have the same weight.

    Args:
        network: any module with batch norms; changed in place.
        images: (N, C, H, W).
        batch_size: images per batch.
    """
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    momenta, training, device = [norm.momentum for norm in norms], network.training, next(network.parameters()).device
    batches = [batch for batch in torch.split(images, batch_size) if 2 * len(batch) > min(batch_size, len(images))]
    try:
        network.eval()
        for norm in norms:  # only batch norms are in train mode: dropout stays off
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

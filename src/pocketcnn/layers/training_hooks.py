"""Interfaces between a network and its trainer: schedules, penalties, auxiliary classifiers, reparameterization.

A trainer depends on these four classes and on no specific network. Before each step it calls `set_progress`. It adds penalties
and the loss of an auxiliary classifier to the loss, and selects checkpoints only once `is_final` is True. The deployed network
is `reparameterize(network)`.
"""

import copy
from abc import ABC, abstractmethod

from torch import Tensor, nn


class Scheduled(ABC):
    """A layer that changes in the course of training."""

    @abstractmethod
    def set_progress(self, progress: float) -> None:
        """Set the share of completed training steps, 0 … 1; repeated calls with the same value have no effect."""

    @property
    def is_final(self) -> bool:
        """Whether the layer has its final structure; weights from before must not be used as the result of training."""
        return True


class Regularized(ABC):
    """A layer that adds a regularization term to the loss."""

    @abstractmethod
    def penalty(self) -> Tensor:
        """The regularization term, a scalar that is added to the loss without a factor."""


class AuxiliaryClassifier(ABC):
    """A network with an optional second classifier at an intermediate layer, for training only."""

    @property
    @abstractmethod
    def auxiliary_weight(self) -> float:
        """The weight of the auxiliary classifier's cross-entropy in the loss; 0 if there is no auxiliary classifier."""

    @abstractmethod
    def forward_with_auxiliary(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) -> the logits and the auxiliary logits, each (N, classes)."""


class Reparameterizable(ABC):
    """A network or layer whose deployed structure differs from the trained one (RepVGG's structural reparameterization)."""

    @abstractmethod
    def reparameterize(self) -> nn.Module:
        """An equivalent module of standard layers; this module is not modified.

        Raises:
            UsageError: training has not progressed far enough.
        """


def set_progress(network: nn.Module, progress: float) -> None:
    """Set the training progress of every scheduled layer of `network`; call it before each step.

    Raises:
        ValueError: `progress` is not from 0 to 1.
    """
    if not 0 <= progress <= 1:
        raise ValueError(f"The training progress must be from 0 to 1, not {progress}.")
    for module in network.modules():
        if isinstance(module, Scheduled):
            module.set_progress(progress)


def reparameterize(network: nn.Module) -> nn.Module:
    """The network for deployment: every reparameterizable part is replaced by its equivalent of standard layers.

    A network without such parts is returned unchanged, else a copy.

    Raises:
        UsageError: the training of a part has not progressed far enough.
    """
    if isinstance(network, Reparameterizable):
        return network.reparameterize()
    if not any(isinstance(module, Reparameterizable) for module in network.modules()):
        return network
    result = copy.deepcopy(network)
    for name, child in result.named_children():
        setattr(result, name, reparameterize(child))
    return result

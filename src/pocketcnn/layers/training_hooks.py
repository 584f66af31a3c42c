"""What a network may ask of its training, and what it becomes after it.

A trainer knows these four classes and no network by name. Before each step it tells the progress of the training; it adds the
penalties and the loss of an auxiliary classifier to its own; and it keeps weights of the network's final form.
What is deployed afterwards is `reparameterize(network)`.
"""

import copy
from abc import ABC, abstractmethod

from torch import Tensor, nn


class Scheduled(ABC):
    """A layer that changes in the course of a training."""

    @abstractmethod
    def set_progress(self, progress: float) -> None:
        """`progress` is the share of all training steps that are done, 0 … 1; the same one may be told again."""

    @property
    def is_final(self) -> bool:
        """Whether it computes what it will compute after the training; weights from before that are no result."""
        return True


class Regularized(ABC):
    """A layer with a term of its own in the loss."""

    @abstractmethod
    def penalty(self) -> Tensor:
        """A scalar that is added to the loss as it is."""


class AuxiliaryClassifier(ABC):
    """A network that can have a second classifier in its middle, for training only."""

    @property
    @abstractmethod
    def auxiliary_weight(self) -> float:
        """The factor of the auxiliary classifier's cross-entropy in the loss; 0 if there is none."""

    @abstractmethod
    def forward_with_auxiliary(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) -> the logits, and those of the auxiliary classifier, each (N, classes)."""


class Reparameterizable(ABC):
    """A network or layer that is trained in another form than it is deployed in."""

    @abstractmethod
    def reparameterize(self) -> nn.Module:
        """A module of standard layers that computes the same; this one is not changed.

        Raises:
            UsageError: the training is not far enough.
        """


def set_progress(network: nn.Module, progress: float) -> None:
    """Tell every scheduled layer of `network` how far the training has come; to be called before each step.

    Raises:
        ValueError: `progress` is not from 0 to 1.
    """
    if not 0 <= progress <= 1:
        raise ValueError(f"The progress of a training is from 0 to 1, not {progress}.")
    for module in network.modules():
        if isinstance(module, Scheduled):
            module.set_progress(progress)


def reparameterize(network: nn.Module) -> nn.Module:
    """`network` as it is deployed: every part that has a form for inference in that form, computing the same.

    A network without such parts is returned itself; else a copy is.

    Raises:
        UsageError: a part's training is not far enough.
    """
    if isinstance(network, Reparameterizable):
        return network.reparameterize()
    if not any(isinstance(module, Reparameterizable) for module in network.modules()):
        return network
    result = copy.deepcopy(network)
    for name, child in result.named_children():
        setattr(result, name, reparameterize(child))
    return result

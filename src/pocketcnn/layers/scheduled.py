"""Layers that change in the course of a training: they are told how far it has come."""

from abc import ABC, abstractmethod

from torch import nn


class Scheduled(ABC):
    """A layer whose behaviour depends on the progress of training."""

    @abstractmethod
    def set_progress(self, progress: float) -> None:
        """`progress` is the share of all training steps that are done, 0 … 1."""


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

"""Drop-path: whole branches of a network are left out at random in training."""

import torch
from torch import nn

from .training_hooks import Scheduled


class DropPath(nn.Module, Scheduled):
    """Splits x to 0 for each image with a probability, and divides by its complement otherwise; nothing at inference.

    The probability is `rate` times the progress of training, if the training tells it (see `set_progress`); it is
    `rate` throughout, if not. Papers: "FractalNet" (Larsson et al., 2017), section 3; scheduled in "Learning Transferable
    Architectures for Scalable Image Recognition" (Zoph et al., 2018), appendix A.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = self.present_rate = rate

    def set_progress(self, progress: float) -> None:
        self.present_rate = self.rate * progress

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        if not self.training or self.present_rate == 0:
            return x
        survival = 1 - self.present_rate
        return x * torch.bernoulli(x.new_full((x.shape[0], 1, 1, 1), survival)) / survival

    def extra_repr(self) -> str:
        return f"rate={self.rate}"

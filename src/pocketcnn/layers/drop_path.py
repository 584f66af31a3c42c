"""Drop path (stochastic depth): branches are dropped at random in training."""

import torch
from torch import nn

from .training_hooks import Scheduled


class DropPath(nn.Module, Scheduled):
    """In training, sets x to 0 per image with probability p, else divides it by 1 - p; the identity at inference.

    p is `rate` times the progress of training if the trainer calls `set_progress`, else constantly `rate`.
    Papers: "FractalNet" (Larsson et al., 2017), section 3; scheduled in "Learning Transferable
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

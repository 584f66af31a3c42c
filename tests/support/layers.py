"""What the tests of several blocks share."""

import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

SIDES = st.integers(1, 17)
WIDTHS = st.integers(1, 24)
STRIDES = st.sampled_from([1, 2])
steady = settings(deadline=None, derandomize=True, max_examples=30)


def madds(module: nn.Module, *shape: int) -> int:
    """Counted by torch (two operations a multiply-add), on tensors without data."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.to("meta").eval()(torch.empty(1, *shape, device="meta"))
    return counter.get_total_flops() // 2


def halved(side: int, stride: int) -> int:
    return -(-side // stride)


def randomised(module: nn.Module) -> nn.Module:
    """In eval mode, with batch statistics that matter."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean, std=0.3)
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.3)
    return module.eval()

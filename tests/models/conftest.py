from collections.abc import Callable

import pytest
import torch
from torch import nn


@pytest.fixture
def randomised() -> Callable[[nn.Module], nn.Module]:
    """Puts a network in eval mode with weights and batch statistics that matter, from a fixed seed."""

    def randomise(network: nn.Module) -> nn.Module:
        random = torch.Generator().manual_seed(7)
        with torch.no_grad():
            for part in network.modules():
                if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
                    part.running_mean.normal_(0, 0.3, generator=random)
                    part.running_var.uniform_(0.5, 2, generator=random)
                    part.weight.uniform_(0.5, 1.2, generator=random)
                    part.bias.normal_(0, 0.3, generator=random)
                elif isinstance(part, nn.Conv2d | nn.Linear):
                    fan_in = part.weight[0].numel()
                    part.weight.normal_(0, fan_in**-0.5, generator=random)
                    if part.bias is not None:
                        part.bias.normal_(0, 0.3, generator=random)
        return network.eval()

    return randomise

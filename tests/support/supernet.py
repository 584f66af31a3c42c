"""Small supernets, and one whose weights and statistics are not those of a fresh network."""

import torch

from pocketcnn.nas.supernet.network import Supernet
from pocketcnn.nas.supernet.plan import Stage, SupernetPlan

PLAN = SupernetPlan(
    in_channels=1,
    classes=10,
    stem=8,
    stem_stride=1,
    first=8,
    stages=(Stage(8, 1, "relu", False), Stage(16, 2, "hardswish", True)),
    last=24,
    head=16,
    sizes=((8, 8), (6, 6)),
    kernels=(3, 5, 7),
    expansions=(2, 3),
    depths=(1, 2),
)


def disturbed(plan: SupernetPlan = PLAN, seed: int = 0) -> Supernet:
    """In eval mode; every weight, matrix and statistic has its own value."""
    supernet = Supernet(plan, seed)
    stream = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in (*supernet.parameters(), *supernet.buffers()):
            if tensor.is_floating_point():
                tensor.add_(0.1 * torch.rand(tensor.shape, generator=stream))
    return supernet.eval()

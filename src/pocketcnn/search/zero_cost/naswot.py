"""NASWOT: how differently an untrained network sees different images.

"Neural Architecture Search without Training" (Mellor et al., ICML 2021), section 3.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pocketcnn.search.zero_cost.functions import ACTIVATIONS, InPlaceOf
from pocketcnn.training import drawn_from


@torch.no_grad()
def naswot(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001 - all proxies take the same
    """log |det K|, K[i, j] the number of activations that are on in both or off in both of the images i and j.

    An activation is on where its input is positive. Batch norms use the statistics of the images. -inf where two images
    are alike to the network.

    Args:
        images: (N, C, H, W), some dozens.
    """
    seen = copy.deepcopy(network).train()
    for module in seen.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.eval()
    kernel = torch.zeros(len(images), len(images), dtype=torch.float64, device=images.device)

    def observe(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        on = (args[0] > 0).flatten(1).double()
        kernel.add_(on @ on.T + (1 - on) @ (1 - on).T)
        return function(*args, **kwargs)

    with InPlaceOf(ACTIVATIONS, observe), drawn_from(0):
        seen(images)
    return float(torch.linalg.slogdet(kernel).logabsdet)

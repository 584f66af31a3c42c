"""SynFlow: how much the weights let through, without looking at any image.

"Pruning neural networks without any data by iteratively conserving synaptic flow" (Tanaka et al., NeurIPS 2020), section 6;
as a score of a whole network in "Zero-Cost Proxies for Lightweight NAS" (Abdelfattah et al., ICLR 2021).
"""

import copy

import torch
from torch import Tensor, nn

from pocketcnn.search.zero_cost.functions import ACTIVATIONS, NORMALIZATIONS, InPlaceOf, passed_on


def synflow(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001 - all proxies take the same
    """The logarithm of Σ |θ · ∂R/∂θ|, where R is the sum of the outputs for an image of ones and all weights are |θ|.

    Activations and normalizations are left out, as the papers mean it: with |θ| nothing is negative, and a bound such as
    ReLU6's would hide the weights before it. In float64, and as a logarithm: it grows with every layer. -inf where
    nothing comes through.

    Args:
        images: (N, C, H, W), of which only the shape matters.
    """
    linear = copy.deepcopy(network).cpu().double().eval()
    with torch.no_grad():
        for parameter in linear.parameters():
            parameter.abs_()
    ones = torch.ones(1, *images.shape[1:], dtype=torch.float64)
    with InPlaceOf(ACTIVATIONS | NORMALIZATIONS, passed_on):
        flow = linear(ones).sum()
    parameters = [parameter for parameter in linear.parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad(flow, parameters, allow_unused=True)
    parts = [(p * g).detach().abs().sum() for p, g in zip(parameters, gradients, strict=True) if g is not None]
    total = torch.stack(parts).sum() if parts else torch.zeros(())
    return float(total.log())

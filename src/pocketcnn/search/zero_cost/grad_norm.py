"""Gradient norm: how strongly an untrained network is pulled by one batch.

"Zero-Cost Proxies for Lightweight NAS" (Abdelfattah et al., ICLR 2021).
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketcnn.training import drawn_from


def grad_norm(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The sum over layers of the Euclidean norm of the gradient of their weights, for the cross-entropy of one batch.

    Args:
        images: (N, C, H, W); labels: (N,).
    """
    trained = copy.deepcopy(network).train()
    with drawn_from(0):  # dropout
        loss = F.cross_entropy(trained(images), labels)
    weights = [parameter for parameter in trained.parameters() if parameter.requires_grad and parameter.ndim > 1]
    gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    return float(sum(torch.linalg.vector_norm(gradient) for gradient in gradients if gradient is not None))

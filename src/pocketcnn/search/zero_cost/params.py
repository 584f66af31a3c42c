"""The number of parameters: what a proxy must beat to be worth anything."""

from torch import Tensor, nn


def params(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001 - all proxies take the same
    """How many trained numbers the network has."""
    return float(sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad))

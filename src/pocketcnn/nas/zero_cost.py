"""Zero-cost proxies: scores of untrained networks from a single pass, to rank them before training.

SynFlow: "Pruning neural networks without any data by iteratively conserving synaptic flow" (Tanaka et al., NeurIPS 2020),
section 6. As a score of a whole network, like the gradient norm: "Zero-Cost Proxies for Lightweight NAS" (Abdelfattah et al.,
ICLR 2021). NASWOT: "Neural Architecture Search without Training" (Mellor et al., ICML 2021), section 3. The number of
parameters is the baseline that a proxy must beat.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pocketcnn.errors import UsageError
from pocketcnn.training import drawn_from

Proxy = Callable[[nn.Module, Tensor, Tensor], float]
"""(untrained network, images (N, C, H, W), labels (N,)) -> score, higher is better. The network is not changed."""

ACTIVATIONS: frozenset[Any] = frozenset(
    {
        F.relu, F.relu_, F.relu6, F.hardtanh, F.hardtanh_, F.hardswish, F.silu, F.leaky_relu, F.leaky_relu_, F.gelu, F.elu,
        F.mish, F.prelu, torch.relu, torch.relu_, torch.clamp, torch.clamp_min, Tensor.relu, Tensor.relu_, Tensor.clamp,
    }
)  # fmt: skip
"""Activations that pass positive values; sigmoids, which act as gates, are not included."""

NORMALIZATIONS: frozenset[Any] = frozenset(
    {F.batch_norm, torch.batch_norm, F.group_norm, F.layer_norm, F.instance_norm}
)

Replacement = Callable[[Callable[..., Any], tuple[Any, ...], Mapping[str, Any]], Any]
"""Receives a function and its arguments, and returns the result in its place."""


class ReplaceFunctions(TorchFunctionMode):
    """Inside this context, calls to any of `functions` go to `replacement`; its own calls are not intercepted.

    It intercepts torch's functions, so it works for modules, functions in `forward`, and nodes of a captured graph.
    """

    def __init__(self, functions: frozenset[Any], replacement: Replacement) -> None:
        super().__init__()
        self.functions, self.replacement = functions, replacement

    def __torch_function__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in self.functions:
            return self.replacement(func, args, kwargs or {})
        return func(*args, **(kwargs or {}))


def identity(_function: Callable[..., Any], args: tuple[Any, ...], _kwargs: Mapping[str, Any]) -> Any:
    """Return the first argument."""
    return args[0]


def synflow(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001 - all proxies take the same
    """log Σ |θ · ∂R/∂θ|, where R is the sum of the outputs for an image of ones and all weights are |θ|.

    Activations and normalizations are left out, as in the papers: with |θ| nothing is negative, and a bound such as ReLU6's
    would hide the weights before it. Computed in float64; the logarithm is used because the value grows with every layer.
    -inf if no signal reaches the output.

    Args:
        network: an untrained network.
        images: (N, C, H, W); only the shape is used.
        labels: not used.
    """
    linear = copy.deepcopy(network).cpu().double().eval()
    with torch.no_grad():
        for parameter in linear.parameters():
            parameter.abs_()
    ones = torch.ones(1, *images.shape[1:], dtype=torch.float64)
    with ReplaceFunctions(ACTIVATIONS | NORMALIZATIONS, identity):
        flow = linear(ones).sum()
    parameters = [parameter for parameter in linear.parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad(flow, parameters, allow_unused=True)
    parts = [(p * g).detach().abs().sum() for p, g in zip(parameters, gradients, strict=True) if g is not None]
    total = torch.stack(parts).sum() if parts else torch.zeros(())
    return float(total.log())


@torch.no_grad()
def naswot(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001 - all proxies take the same
    """log |det K|, where K[i, j] counts the activations that are both on or both off for the images i and j.

    An activation is on if its input is positive. Batch norms use the statistics of the images. -inf if the network does not
    distinguish two images.

    Args:
        network: an untrained network.
        images: (N, C, H, W), some dozens.
        labels: not used.
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

    with ReplaceFunctions(ACTIVATIONS, observe), drawn_from(0):
        seen(images)
    return float(torch.linalg.slogdet(kernel).logabsdet)


def grad_norm(network: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The sum over layers of the L2 norm of the gradient of their weights, for the cross-entropy of one batch.

    Args:
        network: an untrained network.
        images: (N, C, H, W).
        labels: (N,).
    """
    trained = copy.deepcopy(network).train()
    with drawn_from(0):  # dropout
        loss = F.cross_entropy(trained(images), labels)
    weights = [parameter for parameter in trained.parameters() if parameter.requires_grad and parameter.ndim > 1]
    gradients = torch.autograd.grad(loss, weights, allow_unused=True)
    return float(sum(torch.linalg.vector_norm(gradient) for gradient in gradients if gradient is not None))


def params(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001 - all proxies take the same
    """The number of trainable parameters."""
    return float(sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad))


CONTROL = "params"

PROXIES: Mapping[str, Proxy] = MappingProxyType(
    {"synflow": synflow, "naswot": naswot, "grad_norm": grad_norm, CONTROL: params}
)


def proxy(name: str) -> Proxy:
    """The proxy with this name.

    Raises:
        UsageError: there is none.
    """
    if name not in PROXIES:
        raise UsageError(f"There is no zero-cost proxy {name!r}; choose {', '.join(PROXIES)}.")
    return PROXIES[name]


def ranked(name: str, networks: Sequence[nn.Module], images: Tensor, labels: Tensor) -> list[int]:
    """The indices of `networks`, the one with the highest score first, for the warm start of a search.

    Args:
        name: of the proxy.
        networks: untrained networks for the same images.
        images: (N, C, H, W).
        labels: (N,).

    Raises:
        UsageError: there is no such proxy.
    """
    scored = proxy(name)
    scores = [scored(network, images, labels) for network in networks]
    return sorted(range(len(networks)), key=lambda index: scores[index], reverse=True)

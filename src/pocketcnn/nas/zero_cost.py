"""What an untrained network promises, from one pass through it: proxies that rank networks before any is trained.

SynFlow: "Pruning neural networks without any data by iteratively conserving synaptic flow" (Tanaka et al., NeurIPS 2020),
section 6; as a score of a whole network, like the gradient norm, in "Zero-Cost Proxies for Lightweight NAS" (Abdelfattah et al.,
ICLR 2021). NASWOT: "Neural Architecture Search without Training" (Mellor et al., ICML 2021), section 3. The number of
parameters is the control: what a proxy must beat to be worth anything.
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
"""Gets an untrained network, images (N, C, H, W) and labels (N,), and tells a score; higher is better.

The network stays as it is.
"""

ACTIVATIONS: frozenset[Any] = frozenset(
    {
        F.relu, F.relu_, F.relu6, F.hardtanh, F.hardtanh_, F.hardswish, F.silu, F.leaky_relu, F.leaky_relu_, F.gelu, F.elu,
        F.mish, F.prelu, torch.relu, torch.relu_, torch.clamp, torch.clamp_min, Tensor.relu, Tensor.relu_, Tensor.clamp,
    }
)  # fmt: skip
"""Those that let positive numbers through; sigmoids, which weigh, are none of them."""

NORMALIZATIONS: frozenset[Any] = frozenset(
    {F.batch_norm, torch.batch_norm, F.group_norm, F.layer_norm, F.instance_norm}
)

Instead = Callable[[Callable[..., Any], tuple[Any, ...], Mapping[str, Any]], Any]
"""Gets a function and its arguments, and returns what it is to return."""


class InPlaceOf(TorchFunctionMode):
    """Inside, `instead` runs wherever one of `functions` is called; what it calls itself is called as usual.

    It stands between a network and torch's functions, so that it makes no difference whether an activation is a module, a
    function in `forward`, or a node of a captured graph.
    """

    def __init__(self, functions: frozenset[Any], instead: Instead) -> None:
        super().__init__()
        self.functions, self.instead = functions, instead

    def __torch_function__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in self.functions:
            return self.instead(func, args, kwargs or {})
        return func(*args, **(kwargs or {}))


def passed_on(_function: Callable[..., Any], args: tuple[Any, ...], _kwargs: Mapping[str, Any]) -> Any:
    """The first argument as it is."""
    return args[0]


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


def params(network: nn.Module, images: Tensor, labels: Tensor) -> float:  # noqa: ARG001 - all proxies take the same
    """How many trained numbers the network has."""
    return float(sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad))


CONTROL = "params"

PROXIES: Mapping[str, Proxy] = MappingProxyType(
    {"synflow": synflow, "naswot": naswot, "grad_norm": grad_norm, CONTROL: params}
)


def proxy(name: str) -> Proxy:
    """The proxy of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in PROXIES:
        raise UsageError(f"There is no zero-cost proxy {name!r}; choose {', '.join(PROXIES)}.")
    return PROXIES[name]


def ranked(name: str, networks: Sequence[nn.Module], images: Tensor, labels: Tensor) -> list[int]:
    """The places of `networks` (untrained, all for such images), the one with the highest score first.

    So a search can start from the most promising of many random points instead of from random ones.

    Raises:
        UsageError: there is no such proxy.
    """
    scored = proxy(name)
    scores = [scored(network, images, labels) for network in networks]
    return sorted(range(len(networks)), key=lambda place: scores[place], reverse=True)

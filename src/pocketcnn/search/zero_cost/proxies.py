"""The proxies by name, and networks ranked by one."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from torch import Tensor, nn

from pocketcnn.errors import UsageError
from pocketcnn.search.zero_cost.grad_norm import grad_norm
from pocketcnn.search.zero_cost.naswot import naswot
from pocketcnn.search.zero_cost.params import params
from pocketcnn.search.zero_cost.synflow import synflow

Proxy = Callable[[nn.Module, Tensor, Tensor], float]
"""Gets an untrained network, images (N, C, H, W) and labels (N,), and tells a score; higher is better.

The network stays as it is.
"""

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

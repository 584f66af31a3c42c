"""What an episode is worth: section 3.4 of the paper."""

from collections.abc import Callable, Mapping
from math import log
from types import MappingProxyType

from pocketcnn.compression.pruning.resource import Resource

Reward = Callable[[float, float, Resource], float]
"""From the accuracy of the narrowed network, what it uses, and the resource."""


def resource_constrained(accuracy: float, use: float, resource: Resource) -> float:  # noqa: ARG001
    """-error: the limits on actions already hold the network to its bound."""
    return accuracy - 1


def accuracy_guaranteed(accuracy: float, use: float, resource: Resource) -> float:
    """-error x log(use): sensitive to the error, with a small incentive to use less. For a search without a bound.

    The use is counted in quanta of the resource (single multiply-adds, nanoseconds), so that its logarithm is positive.
    """
    return (accuracy - 1) * log(max(1.0, use / resource.quantum) + 1)


REWARDS: Mapping[str, Reward] = MappingProxyType(
    {"resource_constrained": resource_constrained, "accuracy_guaranteed": accuracy_guaranteed}
)

"""The activations of the light-network papers, by name, so that a network's table can name them.

Formulas: relu max(0, x); relu6 min(max(0, x), 6); hardsigmoid relu6(x + 3) / 6; hardswish x · relu6(x + 3) / 6
("Searching for MobileNetV3", section 5.2); sigmoid 1 / (1 + e⁻ˣ); silu x · sigmoid(x).
"""

from collections.abc import Mapping
from types import MappingProxyType

from torch import nn

from pocketcnn.errors import UsageError

ACTIVATIONS: Mapping[str, type[nn.Module]] = MappingProxyType(
    {
        "relu": nn.ReLU,
        "relu6": nn.ReLU6,
        "hardswish": nn.Hardswish,
        "hardsigmoid": nn.Hardsigmoid,
        "sigmoid": nn.Sigmoid,
        "silu": nn.SiLU,
    }
)


def activation(name: str) -> nn.Module:
    """A new activation module; the shape stays as it is.

    Raises:
        UsageError: `name` is not a key of `ACTIVATIONS`.
    """
    if name not in ACTIVATIONS:
        raise UsageError(f"Unknown activation '{name}'. Choose one of {', '.join(ACTIVATIONS)}.")
    return ACTIVATIONS[name]()

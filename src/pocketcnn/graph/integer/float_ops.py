"""The operations that are one float32 operation on the numbers that stored values stand for."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

Real = Callable[[Sequence[np.ndarray], Mapping[str, np.ndarray]], np.ndarray]
"""(inputs in float32, with batch axis; tensors by role) -> float32."""


def _prelu(inputs: Sequence[np.ndarray], tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    x = inputs[0]
    slope = tensors["weight"].reshape(-1, *(1,) * (x.ndim - 2))
    return np.where(x > 0, x, slope * x)


REALS: Mapping[str, Real] = MappingProxyType(
    {
        "add": lambda inputs, tensors: inputs[0] + inputs[1],
        "sub": lambda inputs, tensors: inputs[0] - inputs[1],
        "prelu": _prelu,
    }
)

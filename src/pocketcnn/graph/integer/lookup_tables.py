"""Lookup tables with at most 256 entries for element-wise functions, and operations that are computed in float32."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from pocketcnn.graph.integer.arithmetic import dequantized
from pocketcnn.graph.node import Node
from pocketcnn.graph.numerics import ActivationFormat
from pocketcnn.graph.ops import OPS
from pocketcnn.graph.ops.base import Function

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


def table(node: Node, fmt: ActivationFormat) -> np.ndarray:
    """The function of `node`, float32, for every integer of its input's format in increasing order."""
    integers = np.arange(fmt.low, fmt.high + 1)
    result: np.ndarray = FUNCTIONS[node.op](node, dequantized(integers, fmt).astype(np.float64)).astype(np.float32)
    return result


FUNCTIONS: Mapping[str, Function] = MappingProxyType({op.name: op.function for op in OPS.values() if op.function})
"""Element-wise operations and their functions."""

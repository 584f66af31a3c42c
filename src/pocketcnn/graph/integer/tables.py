"""Functions of one stored value: what each of its integers, at most 256, becomes.

A function is computed in double precision on the float32 number that the integer stands for and rounded to float32 once, so
that its table does not depend on how a library evaluates it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from pocketcnn.graph.integer.arithmetic import dequantized
from pocketcnn.graph.node import Node
from pocketcnn.graph.numerics import ActivationFormat
from pocketcnn.graph.ops.activation import clip_bounds

Function = Callable[[Node, np.ndarray], np.ndarray]


def table(node: Node, form: ActivationFormat) -> np.ndarray:
    """The values of the function of `node`, float32, for every integer of its input's format, the smallest first."""
    integers = np.arange(form.low, form.high + 1)
    result: np.ndarray = FUNCTIONS[node.op](node, dequantized(integers, form).astype(np.float64)).astype(np.float32)
    return result


def _clipped(node: Node, x: np.ndarray) -> np.ndarray:
    low, high = clip_bounds(node)
    clipped: np.ndarray = np.clip(x, np.float32(low), np.float32(high))
    return clipped


def _sigmoid(x: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.exp(-np.logaddexp(0, -x))  # no exponential overflows on the way
    return result


def _hardsigmoid(x: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.clip(x + 3, 0, 6) / 6
    return result


def _leaky(node: Node, x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, x * _number(node, "slope"))


def _elu(node: Node, x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, _number(node, "alpha") * np.expm1(np.minimum(x, 0)))


def _affine(node: Node, x: np.ndarray) -> np.ndarray:
    return x * _number(node, "scale") + _number(node, "offset")


def _number(node: Node, name: str) -> np.float64:
    """An attribute as files hold it, in float32."""
    return np.float64(np.float32(node.number(name)))


FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        "relu": _clipped,
        "relu6": _clipped,
        "clip": _clipped,
        "hardswish": lambda node, x: x * _hardsigmoid(x),
        "hardsigmoid": lambda node, x: _hardsigmoid(x),
        "sigmoid": lambda node, x: _sigmoid(x),
        "silu": lambda node, x: x * _sigmoid(x),
        "tanh": lambda node, x: np.tanh(x),
        "leaky_relu": _leaky,
        "elu": _elu,
        "affine": _affine,
    }
)

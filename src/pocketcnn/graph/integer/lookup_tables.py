"""Functions of one stored value: what each of its integers, at most 256, becomes.

A function is computed in double precision on the float32 number that the integer stands for and rounded to float32 once, so
that its table does not depend on how a library evaluates it.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from pocketcnn.graph.integer.arithmetic import dequantized
from pocketcnn.graph.node import Node
from pocketcnn.graph.numerics import ActivationFormat
from pocketcnn.graph.ops import OPS
from pocketcnn.graph.ops.base import Function


def table(node: Node, form: ActivationFormat) -> np.ndarray:
    """The values of the function of `node`, float32, for every integer of its input's format, the smallest first."""
    integers = np.arange(form.low, form.high + 1)
    result: np.ndarray = FUNCTIONS[node.op](node, dequantized(integers, form).astype(np.float64)).astype(np.float32)
    return result


FUNCTIONS: Mapping[str, Function] = MappingProxyType({op.name: op.function for op in OPS.values() if op.function})
"""The operations that are a function of one element, and that function."""

"""Builds graphs of the IR operation by operation, in their inference form.

Convolutions have the bias that results from folding batch normalization.
"""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from pocketcnn.graph import Graph, Node
from pocketcnn.graph.node import Attr, Shape
from pocketcnn.graph.ops import OPS

ACTIVATIONS: Mapping[int, str] = MappingProxyType(
    {0: "", 1: "relu", 6: "relu6", 2: "hardswish", 3: "silu", 4: "sigmoid", 5: "hardsigmoid"}
)

Weights = Callable[[Shape], Tensor]


class GraphBuilder:
    """Appends operations; a value is the name of its node."""

    def __init__(self, shape: Shape, weights: Weights) -> None:
        self._nodes = [Node("x", "input", (), shape)]
        self._shapes: dict[str, Shape] = {"x": shape}
        self._tensors: dict[str, Tensor] = {}
        self._weights = weights

    def graph(self, output: str) -> Graph:
        """The graph up to `output`, validated."""
        graph = Graph(tuple(self._nodes), output, self._tensors)
        return graph.rebuilt()

    def shape(self, value: str) -> Shape:
        """(C, H, W) or (F,) of a value."""
        return self._shapes[value]

    def channels(self, value: str) -> int:
        return self._shapes[value][0]

    def op(self, op: str, inputs: Sequence[str], tensors: Mapping[str, Tensor] | None = None, **attrs: Attr) -> str:
        """Append one operation of the IR."""
        name = f"n{len(self._nodes)}"
        named = {role: f"{name}.{role}" for role in tensors or {}}
        self._tensors.update({named[role]: tensor for role, tensor in (tensors or {}).items()})
        node = Node(name, op, tuple(inputs), (), attrs, named)
        shapes = {role: tuple(tensor.shape) for role, tensor in (tensors or {}).items()}
        shape = OPS[op].shape(node, [self._shapes[value] for value in inputs], shapes)
        self._nodes.append(Node(name, op, tuple(inputs), shape, attrs, named))
        self._shapes[name] = shape
        return name

    def act(self, x: str, activation: int) -> str:
        """One of `ACTIVATIONS`; 0 is none."""
        return self.op(ACTIVATIONS[activation], [x]) if activation else x

    def conv(self, x: str, k: int, s: int, n: int, act: int = 0, groups: int = 1, padding: int | None = None) -> str:
        """A convolution of kernel k, stride s and n outputs, with bias, same padding and an activation."""
        weight = (n, self.channels(x) // groups, k, k)
        tensors = {"weight": self._weights(weight), "bias": self._weights((n,))}
        pad = (k // 2, k // 2) if padding is None else (padding, padding)
        y = self.op("conv2d", [x], tensors, stride=(s, s), padding=pad, dilation=(1, 1), groups=groups)
        return self.act(y, act)

    def oblong(self, x: str, height: int, width: int, n: int, act: int) -> str:
        """A convolution with a non-square kernel."""
        tensors = {"weight": self._weights((n, self.channels(x), height, width)), "bias": self._weights((n,))}
        pad = (height // 2, width // 2)
        return self.act(self.op("conv2d", [x], tensors, stride=(1, 1), padding=pad, dilation=(1, 1), groups=1), act)

    def depthwise(self, x: str, k: int, s: int, act: int = 0) -> str:
        return self.conv(x, k, s, self.channels(x), act, self.channels(x))

    def linear(self, x: str, n: int, act: int = 0) -> str:
        tensors = {"weight": self._weights((n, self.channels(x))), "bias": self._weights((n,))}
        return self.act(self.op("linear", [x], tensors), act)

    def pool(self, x: str, kind: str, k: int, s: int) -> str:
        extra: dict[str, Attr] = {"dilation": (1, 1)} if kind == "max_pool" else {"count_padding": False}
        pad = (k // 2, k // 2)
        return self.op(kind, [x], None, kernel=(k, k), stride=(s, s), padding=pad, ceil=False, **extra)

    def mean(self, x: str, keepdim: bool = False) -> str:
        return self.op("mean", [x], axes=(1, 2), keepdim=keepdim)

    def add(self, x: str, y: str) -> str:
        return self.op("add", [x, y])

    def concat(self, values: Sequence[str]) -> str:
        return self.op("concat", values, axis=0)

    def slice(self, x: str, start: int, stop: int) -> str:
        return self.op("slice", [x], axis=0, start=start, stop=stop, step=1)

    def flatten(self, x: str) -> str:
        return x if len(self.shape(x)) == 1 else self.op("reshape", [x], shape=(prod(self.shape(x)),))

    def gather(self, x: str, n: int) -> str:
        index = torch.from_numpy(np.random.default_rng(n).permutation(max(n, self.channels(x)))[:n] % self.channels(x))
        return self.op("gather", [x], {"index": index})

    def shift(self, x: str) -> str:
        moves = [(index % 3 - 1, index // 3 % 3 - 1) for index in range(self.channels(x))]
        return self.op("shift", [x], down=tuple(m[0] for m in moves), right=tuple(m[1] for m in moves))

"""The building blocks of light networks as text, and the graphs that it stands for.

A latency table says what was measured in this language: an input shape and blocks, ``24x56x56 ir:3,1,144,24,0,6 max:3,2``.
A block is its name and whole numbers; activations are numbers too (`ACTIVATIONS`). Graphs are at inference: convolutions
carry the bias that folded batch normalization leaves.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import prod
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from pocketcnn.errors import PocketcnnError
from pocketcnn.graph import Graph, Node
from pocketcnn.graph.node import Attr, Shape
from pocketcnn.graph.ops import OPS

ACTIVATIONS: Mapping[int, str] = MappingProxyType(
    {0: "", 1: "relu", 6: "relu6", 2: "hardswish", 3: "silu", 4: "sigmoid", 5: "hardsigmoid"}
)


class BlockError(PocketcnnError):
    """A text that stands for no graph."""


Weights = Callable[[Shape], Tensor]


class GraphBuilder:
    """Appends operations; a value is the name of its node."""

    def __init__(self, shape: Shape, weights: Weights) -> None:
        self._nodes = [Node("x", "input", (), shape)]
        self._shapes: dict[str, Shape] = {"x": shape}
        self._tensors: dict[str, Tensor] = {}
        self._weights = weights

    def graph(self, output: str) -> Graph:
        """The graph up to `output`, checked."""
        graph = Graph(tuple(self._nodes), output, self._tensors)
        return graph.rebuilt()

    def shape(self, value: str) -> Shape:
        """(C, H, W) or (F,) of a value."""
        return self._shapes[value]

    def channels(self, value: str) -> int:
        return self._shapes[value][0]

    def op(self, op: str, inputs: Sequence[str], tensors: Mapping[str, Tensor] | None = None, **attrs: Attr) -> str:
        """One operation of the IR."""
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
        """A convolution of n outputs with bias, padded to its own size over the stride, and an activation."""
        weight = (n, self.channels(x) // groups, k, k)
        tensors = {"weight": self._weights(weight), "bias": self._weights((n,))}
        pad = (k // 2, k // 2) if padding is None else (padding, padding)
        y = self.op("conv2d", [x], tensors, stride=(s, s), padding=pad, dilation=(1, 1), groups=groups)
        return self.act(y, act)

    def oblong(self, x: str, height: int, width: int, n: int, act: int) -> str:
        """A convolution whose kernel is no square."""
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
        moves = [(place % 3 - 1, place // 3 % 3 - 1) for place in range(self.channels(x))]
        return self.op("shift", [x], down=tuple(m[0] for m in moves), right=tuple(m[1] for m in moves))


Block = Callable[..., str]
BLOCKS: dict[str, Block] = {}


def _block(function: Block) -> Block:
    BLOCKS[function.__name__.removesuffix("_")] = function
    return function


@_block
def conv_(b: GraphBuilder, x: str, k: int, s: int, n: int, act: int) -> str:
    """A convolution with an activation."""
    return b.conv(x, k, s, n, act)


@_block
def asym(b: GraphBuilder, x: str, k: int, n: int, act: int) -> str:
    """A 1xk and a kx1 convolution (Inception-v3)."""
    return b.oblong(b.oblong(x, 1, k, n, act), k, 1, n, act)


@_block
def grouped(b: GraphBuilder, x: str, k: int, s: int, n: int, groups: int, act: int) -> str:
    """A grouped convolution."""
    return b.conv(x, k, s, n, act, groups)


@_block
def dw(b: GraphBuilder, x: str, k: int, s: int, act: int) -> str:
    """A depthwise convolution."""
    return b.depthwise(x, k, s, act)


@_block
def sep(b: GraphBuilder, x: str, k: int, s: int, n: int, act: int) -> str:
    """Depthwise, then pointwise (MobileNetV1)."""
    return b.conv(b.depthwise(x, k, s, act), 1, 1, n, act)


def _gate(b: GraphBuilder, x: str, q: int, gate: int) -> str:
    squeezed = b.conv(b.mean(x, keepdim=True), 1, 1, q, 1)
    return b.op("mul", [x, b.conv(squeezed, 1, 1, b.channels(x), gate)])


@_block
def se(b: GraphBuilder, x: str, q: int, gate: int) -> str:
    """Squeeze-and-excite to q channels."""
    return _gate(b, x, q, gate)


@_block
def ir(b: GraphBuilder, x: str, k: int, s: int, e: int, n: int, q: int, act: int) -> str:
    """Inverted residual of e expanded channels (MobileNetV2), with squeeze-and-excite to q channels unless q is 0."""
    y = b.conv(x, 1, 1, e, act) if e != b.channels(x) else x
    y = b.depthwise(y, k, s, act)
    if q:
        y = _gate(b, y, q, 4 if act == 3 else 5)
    y = b.conv(y, 1, 1, n)
    return b.add(x, y) if b.shape(x) == b.shape(y) else y


@_block
def uib(b: GraphBuilder, x: str, k0: int, k1: int, s: int, e: int, n: int) -> str:
    """Universal inverted bottleneck (MobileNetV4): depthwise of k0 before and of k1 after the expansion; 0 is none."""
    y = b.depthwise(x, k0, 1 if k1 else s) if k0 else x
    y = b.conv(y, 1, 1, e, 1)
    y = b.depthwise(y, k1, s, 1) if k1 else y
    y = b.conv(y, 1, 1, n)
    return b.add(x, y) if b.shape(x) == b.shape(y) else y


def _residual(b: GraphBuilder, x: str, y: str, s: int) -> str:
    shortcut = x if b.shape(x) == b.shape(y) else b.conv(x, 1, s, b.channels(y))
    return b.act(b.add(y, shortcut), 1)


@_block
def basic(b: GraphBuilder, x: str, s: int, n: int) -> str:
    """The basic unit of ResNet."""
    return _residual(b, x, b.conv(b.conv(x, 3, s, n, 1), 3, 1, n), s)


@_block
def bott(b: GraphBuilder, x: str, s: int, m: int, n: int, groups: int, q: int) -> str:
    """The bottleneck of ResNet, ResNeXt and RegNet, with squeeze-and-excite to q channels unless q is 0."""
    y = b.conv(b.conv(x, 1, 1, m, 1), 3, s, m, 1, groups)
    y = _gate(b, y, q, 4) if q else y
    return _residual(b, x, b.conv(y, 1, 1, n), s)


@_block
def res2(b: GraphBuilder, x: str, m: int, parts: int) -> str:
    """The bottleneck of Res2Net: the middle in parts, each added to the next."""
    y = b.conv(x, 1, 1, m * parts, 1)
    pieces = [b.slice(y, place * m, (place + 1) * m) for place in range(parts)]
    done = [b.conv(pieces[0], 3, 1, m, 1)]
    for piece in pieces[1:-1]:
        done.append(b.conv(b.add(done[-1], piece), 3, 1, m, 1))
    return _residual(b, x, b.conv(b.concat([*done, pieces[-1]]), 1, 1, b.channels(x)), 1)


@_block
def fire(b: GraphBuilder, x: str, q: int, e1: int, e3: int) -> str:
    """The fire module of SqueezeNet."""
    y = b.conv(x, 1, 1, q, 1)
    return b.concat([b.conv(y, 1, 1, e1, 1), b.conv(y, 3, 1, e3, 1)])


@_block
def shuffle1(b: GraphBuilder, x: str, s: int, m: int, n: int, groups: int) -> str:
    """The unit of ShuffleNetV1."""
    y = b.op("channel_shuffle", [b.conv(x, 1, 1, m, 1, groups)], groups=groups)
    y = b.depthwise(y, 3, s)
    if s == 1 and n == b.channels(x):
        return b.act(b.add(x, b.conv(y, 1, 1, n, 0, groups)), 1)
    short = b.pool(x, "avg_pool", 3, s)
    return b.act(b.concat([short, b.conv(y, 1, 1, n, 0, groups)]), 1)


def _two_branches(b: GraphBuilder, x: str, s: int, m: int, n: int) -> str:
    """Both branches of ShuffleNetV2's unit joined to n channels, m of them inside the right one."""
    channels = b.channels(x)
    if s == 1:
        left, right = b.slice(x, 0, channels // 2), b.slice(x, channels // 2, channels)
    else:
        left, right = b.conv(b.depthwise(x, 3, s), 1, 1, n - n // 2, 1), x
    right = b.conv(b.depthwise(b.conv(right, 1, 1, m, 1), 3, s), 1, 1, n // 2, 1)
    return b.concat([left, right])


@_block
def shuffle2(b: GraphBuilder, x: str, s: int, n: int) -> str:
    """The unit of ShuffleNetV2: half of n channels a branch."""
    half = n // 2
    return b.op("channel_shuffle", [_two_branches(b, x, s, half, 2 * half)], groups=2)


@_block
def pruned2(b: GraphBuilder, x: str, s: int, m: int, n: int) -> str:
    """The unit of ShuffleNetV2 after pruning: m inner channels, and n channels picked by an index where a shuffle was."""
    joined = _two_branches(b, x, s, m, n)
    return b.gather(joined, b.channels(joined))


@_block
def pick(b: GraphBuilder, x: str) -> str:
    """All channels in another order."""
    return b.gather(x, b.channels(x))


@_block
def dense(b: GraphBuilder, x: str, m: int, n: int) -> str:
    """A layer of DenseNet: batch normalization and ReLU, which nothing absorbs, before each of two convolutions."""
    y = b.depthwise(x, 1, 1, 1)
    return b.concat([x, b.conv(b.conv(y, 1, 1, m, 1), 3, 1, n)])


@_block
def condense(b: GraphBuilder, x: str, m: int, n: int, groups: int) -> str:
    """A layer of CondenseNet at inference: an index, a grouped pointwise convolution, shuffle, a grouped convolution."""
    y = b.gather(b.depthwise(x, 1, 1, 1), b.channels(x) // groups * groups)
    y = b.op("channel_shuffle", [b.conv(y, 1, 1, m, 1, groups)], groups=groups)
    return b.concat([x, b.conv(y, 3, 1, n, 0, groups)])


@_block
def ghost(b: GraphBuilder, x: str, n: int, act: int) -> str:
    """The module of GhostNet: half of the channels are made from the other half by a depthwise convolution."""
    y = b.conv(x, 1, 1, n // 2, act)
    return b.concat([y, b.depthwise(y, 3, 1, act)])


@_block
def inception(b: GraphBuilder, x: str, n1: int, m3: int, n3: int, m5: int, n5: int, np_: int) -> str:
    """The module of GoogLeNet with 3x3 in place of 5x5 convolutions."""
    pooled = b.conv(b.pool(x, "max_pool", 3, 1), 1, 1, np_, 1)
    branches = [b.conv(b.conv(x, 1, 1, m, 1), 3, 1, n, 1) for m, n in ((m3, n3), (m5, n5))]
    return b.concat([b.conv(x, 1, 1, n1, 1), *branches, pooled])


def _nas_separable(b: GraphBuilder, x: str, k: int, n: int) -> str:
    """ReLU, depthwise, pointwise, twice."""
    for _ in range(2):
        x = b.conv(b.depthwise(b.act(x, 1), k, 1), 1, 1, n)
    return x


@_block
def nas(b: GraphBuilder, x: str, n: int) -> str:
    """A cell in the manner of NASNet: separable convolutions, average pools and sums, joined."""
    y = b.conv(b.act(x, 1), 1, 1, n)
    sums = [
        b.add(_nas_separable(b, y, 5, n), _nas_separable(b, y, 3, n)),
        b.add(b.pool(y, "avg_pool", 3, 1), y),
        b.add(_nas_separable(b, y, 3, n), y),
    ]
    return b.concat([y, *sums])


@_block
def shiftunit(b: GraphBuilder, x: str, e: int, n: int) -> str:
    """Pointwise, shift, pointwise (ShiftNet)."""
    y = b.conv(b.shift(b.conv(x, 1, 1, e, 1)), 1, 1, n)
    return b.add(x, y) if b.shape(x) == b.shape(y) else y


@_block
def max_(b: GraphBuilder, x: str, k: int, s: int) -> str:
    """Maximum pooling."""
    return b.pool(x, "max_pool", k, s)


@_block
def avg_(b: GraphBuilder, x: str, k: int, s: int) -> str:
    """Average pooling."""
    return b.pool(x, "avg_pool", k, s)


@_block
def act_(b: GraphBuilder, x: str, activation: int) -> str:
    """An activation on its own."""
    return b.act(x, activation)


@_block
def padconv(b: GraphBuilder, x: str, k: int, n: int, act: int) -> str:
    """Stride 2 with the padding of TensorFlow, which no convolution of the IR has."""
    y = b.op("pad", [x], pads=(k // 2 - 1, k // 2, k // 2 - 1, k // 2), value=0.0)
    return b.conv(y, k, 2, n, act, padding=0)


@_block
def pool(b: GraphBuilder, x: str) -> str:
    """The mean over height and width, as a vector."""
    return b.mean(x)


@_block
def poolconv(b: GraphBuilder, x: str, n: int, act: int) -> str:
    """The mean over height and width, a pointwise convolution of the one pixel that is left, and a vector (MobileNetV3)."""
    return b.flatten(b.conv(b.mean(x, keepdim=True), 1, 1, n, act))


@_block
def fc(b: GraphBuilder, x: str, n: int, act: int) -> str:
    """A linear layer of all values."""
    return b.linear(b.flatten(x), n, act)


POOL = 1 << 20
ANSWERS = 10


@lru_cache(maxsize=1)
def _pool() -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal(POOL, dtype=np.float32))


class PooledWeights:
    """Random weights cut from one pool, which costs less than to draw them; no two begin at the same place."""

    def __init__(self) -> None:
        self._start = 0

    def __call__(self, shape: Shape) -> Tensor:
        count = prod(shape)
        scale = (2 / prod(shape[1:])) ** 0.5 if len(shape) > 1 else 0.1
        self._start = (self._start + 7919) % (POOL // 2)
        values = _pool()[self._start : self._start + count]
        if len(values) < count:
            values = values.repeat(-(-count // len(values)))[:count]
        return (values * scale).reshape(shape)


def no_weights(shape: Shape) -> Tensor:
    """Weights without values, for graphs that are only looked at."""
    return torch.empty(shape, device="meta")


def build(text: str, weights: Weights = no_weights) -> Graph:
    """The graph that a text stands for; a feature map at its end is averaged, and classified by a linear layer.

    So what is measured ends as networks end, and int8 pools are pools of integers, not of the float answer.

    Raises:
        BlockError: it is not in the language, or its blocks do not fit each other.
    """
    try:
        builder, x = _built(text, weights)
        return builder.graph(builder.linear(builder.mean(x), ANSWERS) if len(builder.shape(x)) == 3 else x)
    except _NO_GRAPH as error:
        raise BlockError(f"{text!r} stands for no graph: {error}") from error


def output_shape(text: str) -> Shape:
    """The shape of what the last block gives.

    Raises:
        BlockError: as `build`.
    """
    try:
        builder, x = _built(text, no_weights)
        return builder.shape(x)
    except _NO_GRAPH as error:
        raise BlockError(f"{text!r} stands for no graph: {error}") from error


_NO_GRAPH = (KeyError, ValueError, TypeError, ZeroDivisionError, PocketcnnError, RuntimeError)


def _built(text: str, weights: Weights) -> tuple[GraphBuilder, str]:
    shape, *blocks = text.split()
    builder = GraphBuilder(tuple(int(axis) for axis in shape.split("x")), weights)
    x = "x"
    for block in blocks:
        name, _, numbers = block.partition(":")
        x = BLOCKS[name](builder, x, *(int(number) for number in numbers.split(",") if number))
    return builder, x

"""The building blocks of light networks, by their names in latency tables (`block_text`).

A block takes integers; activations are numbers too (`graph_builder.ACTIVATIONS`).
"""

from collections.abc import Callable

from pocketcnn.targets.latency.graph_builder import GraphBuilder

Block = Callable[..., str]
BLOCKS: dict[str, Block] = {}


def _block(function: Block) -> Block:
    BLOCKS[function.__name__.removesuffix("_")] = function
    return function


@_block
def conv_(b: GraphBuilder, x: str, k: int, s: int, n: int, act: int) -> str:
    """A convolution of kernel k, stride s and n outputs, with an activation."""
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
    """The bottleneck of Res2Net: the channels in parts, each added to the next."""
    y = b.conv(x, 1, 1, m * parts, 1)
    pieces = [b.slice(y, index * m, (index + 1) * m) for index in range(parts)]
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
    """Both branches of ShuffleNetV2's unit concatenated to n channels; the right branch has m inner channels."""
    channels = b.channels(x)
    if s == 1:
        left, right = b.slice(x, 0, channels // 2), b.slice(x, channels // 2, channels)
    else:
        left, right = b.conv(b.depthwise(x, 3, s), 1, 1, n - n // 2, 1), x
    right = b.conv(b.depthwise(b.conv(right, 1, 1, m, 1), 3, s), 1, 1, n // 2, 1)
    return b.concat([left, right])


@_block
def shuffle2(b: GraphBuilder, x: str, s: int, n: int) -> str:
    """The unit of ShuffleNetV2, with half of n channels per branch."""
    half = n // 2
    return b.op("channel_shuffle", [_two_branches(b, x, s, half, 2 * half)], groups=2)


@_block
def pruned2(b: GraphBuilder, x: str, s: int, m: int, n: int) -> str:
    """The unit of ShuffleNetV2 after pruning: m inner channels, and a gather of n channels in place of the shuffle."""
    joined = _two_branches(b, x, s, m, n)
    return b.gather(joined, b.channels(joined))


@_block
def pick(b: GraphBuilder, x: str) -> str:
    """A gather of all channels in another order."""
    return b.gather(x, b.channels(x))


@_block
def dense(b: GraphBuilder, x: str, m: int, n: int) -> str:
    """A layer of DenseNet: batch normalization and ReLU, which cannot be folded, before each of two convolutions."""
    y = b.depthwise(x, 1, 1, 1)
    return b.concat([x, b.conv(b.conv(y, 1, 1, m, 1), 3, 1, n)])


@_block
def condense(b: GraphBuilder, x: str, m: int, n: int, groups: int) -> str:
    """A layer of CondenseNet at inference: gather, grouped pointwise convolution, shuffle, grouped convolution."""
    y = b.gather(b.depthwise(x, 1, 1, 1), b.channels(x) // groups * groups)
    y = b.op("channel_shuffle", [b.conv(y, 1, 1, m, 1, groups)], groups=groups)
    return b.concat([x, b.conv(y, 3, 1, n, 0, groups)])


@_block
def ghost(b: GraphBuilder, x: str, n: int, act: int) -> str:
    """The module of GhostNet: a depthwise convolution computes half of the channels from the other half."""
    y = b.conv(x, 1, 1, n // 2, act)
    return b.concat([y, b.depthwise(y, 3, 1, act)])


@_block
def inception(b: GraphBuilder, x: str, n1: int, m3: int, n3: int, m5: int, n5: int, np_: int) -> str:
    """The module of GoogLeNet, with 3x3 in place of 5x5 convolutions."""
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
    """A cell similar to NASNet's: separable convolutions, average pooling and additions, concatenated."""
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
    """A separate activation."""
    return b.act(x, activation)


@_block
def padconv(b: GraphBuilder, x: str, k: int, n: int, act: int) -> str:
    """A convolution of stride 2 with TensorFlow's asymmetric padding, as a pad and a convolution."""
    y = b.op("pad", [x], pads=(k // 2 - 1, k // 2, k // 2 - 1, k // 2), value=0.0)
    return b.conv(y, k, 2, n, act, padding=0)


@_block
def pool(b: GraphBuilder, x: str) -> str:
    """Global average pooling to a vector."""
    return b.mean(x)


@_block
def poolconv(b: GraphBuilder, x: str, n: int, act: int) -> str:
    """Global average pooling, a pointwise convolution of the single pixel, and flattening (MobileNetV3)."""
    return b.flatten(b.conv(b.mean(x, keepdim=True), 1, 1, n, act))


@_block
def fc(b: GraphBuilder, x: str, n: int, act: int) -> str:
    """A linear layer on the flattened value."""
    return b.linear(b.flatten(x), n, act)

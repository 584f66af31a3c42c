"""Random networks out of the building blocks of the light-network papers, and of some that no paper has.

A network is a list of block names and a seed for everything else (widths, kernels, groups, weights, statistics).
"""

import random
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Attr, Node, Shape
from pocketcnn.graph.ops import OPS

ACTIVATIONS = ("relu", "relu6", "hardswish", "hardsigmoid", "sigmoid", "silu", "tanh")


class Sketch:
    """A graph while it is put together; methods add a node and return its name."""

    def __init__(self, seed: int, image: Shape = (3, 8, 8)) -> None:
        self.random = random.Random(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.nodes = [Node("input", "input", (), image)]
        self.tensors: dict[str, Tensor] = {}
        self.shapes: dict[str, Shape] = {"input": image}

    def graph(self, output: str) -> Graph:
        return Graph(tuple(self.nodes), output, self.tensors).rebuilt()

    def channels(self, value: str) -> int:
        return self.shapes[value][0]

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator, dtype=torch.float64)

    def store(self, role: str, tensor: Tensor) -> str:
        name = f"t{len(self.tensors)}.{role}"
        self.tensors[name] = tensor
        return name

    def add(self, op: str, *inputs: str, tensors: dict[str, str] | None = None, **attrs: Attr) -> str:
        node = Node(f"n{len(self.nodes)}/{op}", op, inputs, (), attrs, tensors or {})
        by_role = {role: tuple(self.tensors[name].shape) for role, name in node.tensors.items()}
        self.shapes[node.name] = OPS[op].shape(node, [self.shapes[name] for name in inputs], by_role)
        self.nodes.append(node)
        return node.name

    def conv(
        self, x: str, width: int, *, kernel: int = 1, groups: int = 1, stride: int = 1, weight: str | None = None
    ) -> str:
        fan_in = self.channels(x) // groups
        if weight is None:
            weight = self.store("weight", self.normal(width, fan_in, kernel, kernel) / (fan_in * kernel**2) ** 0.5)
        tensors = {"weight": weight}
        if self.random.random() < 0.5:
            tensors["bias"] = self.store("bias", self.normal(width))
        pad = (kernel // 2, kernel // 2)
        attrs: dict[str, Attr] = {"stride": (stride, stride), "padding": pad, "dilation": (1, 1), "groups": groups}
        return self.add("conv2d", x, tensors=tensors, **attrs)

    def norm(self, x: str, like: str | None = None) -> str:
        """Batch normalization with tensors of its own, or with those of the node `like`."""
        if like is not None:
            shared = next(node for node in self.nodes if node.name == like)
            return self.add("batch_norm", x, tensors=dict(shared.tensors), eps=1e-5, momentum=0.1)
        width = self.channels(x)
        tensors = {
            "running_mean": self.store("running_mean", self.normal(width)),
            "running_var": self.store("running_var", self.normal(width).abs() + 0.5),
        }
        if self.random.random() < 0.8:
            tensors |= {role: self.store(role, self.normal(width)) for role in ("weight", "bias")}
        return self.add("batch_norm", x, tensors=tensors, eps=1e-5, momentum=0.1)

    def act(self, x: str) -> str:
        if self.random.random() < 0.2:
            return self.add("prelu", x, tensors={"weight": self.store("weight", self.normal(self.channels(x)))})
        return self.add(self.random.choice(ACTIVATIONS), x)

    def conv_norm_act(self, x: str, width: int, *, kernel: int = 1, groups: int = 1, stride: int = 1) -> str:
        return self.act(self.norm(self.conv(x, width, kernel=kernel, groups=groups, stride=stride)))

    def linear(self, x: str, width: int) -> str:
        weight = self.store("weight", self.normal(width, self.channels(x)) / self.channels(x) ** 0.5)
        return self.add("linear", x, tensors={"weight": weight, "bias": self.store("bias", self.normal(width))})

    def width(self, multiple: int = 1) -> int:
        return multiple * self.random.randint(max(1, 4 // multiple), max(2, 12 // multiple))

    def groups(self, *widths: int) -> int:
        """A number of groups that divides all widths, more than one where that is possible."""
        common = [g for g in range(2, min(widths) + 1) if all(width % g == 0 for width in widths)]
        return self.random.choice(common or [1])


def conv(s: Sketch, x: str) -> str:
    return s.conv_norm_act(x, s.width(), kernel=s.random.choice((1, 3)))


def grouped(s: Sketch, x: str) -> str:
    width = s.width(2)
    return s.conv_norm_act(x, width, kernel=3, groups=s.groups(s.channels(x), width))


def depthwise(s: Sketch, x: str) -> str:
    width = s.channels(x) * s.random.choice((1, 1, 2))
    return s.conv_norm_act(x, width, kernel=3, groups=s.channels(x))


def inverted_residual(s: Sketch, x: str) -> str:
    hidden = squeeze_excite(s, depthwise(s, s.conv_norm_act(x, s.width())))
    return s.add("add", x, s.norm(s.conv(hidden, s.channels(x))))


def residual(s: Sketch, x: str) -> str:
    return s.act(s.add(s.random.choice(("add", "sub")), s.conv(conv(s, x), s.channels(x)), x))


def squeeze_excite(s: Sketch, x: str) -> str:
    pooled = s.add("mean", x, axes=(1, 2), keepdim=True)
    gate = s.conv(s.act(s.conv(pooled, s.width())), s.channels(x))
    return s.add("mul", x, s.add(s.random.choice(("sigmoid", "hardsigmoid")), gate))


def fire(s: Sketch, x: str) -> str:
    squeezed = conv(s, x)
    return s.add("concat", s.act(s.conv(squeezed, s.width())), s.act(s.conv(squeezed, s.width(), kernel=3)), axis=0)


def dense(s: Sketch, x: str) -> str:
    return s.add("concat", x, s.conv(s.act(s.norm(x)), s.width(), kernel=3), axis=0)


def split_and_join(s: Sketch, x: str) -> str:
    """Parts of unequal width, one of them changed, joined in another order (CSP, Res2Net)."""
    cut = s.random.randint(1, s.channels(x) - 1)
    low, high = cut_at(s, x, 0, cut), cut_at(s, x, cut, s.channels(x))
    changed = s.add("add", s.conv(high, s.channels(high), kernel=3), high)
    return s.add("concat", changed, low, axis=0)


def cut_at(s: Sketch, x: str, start: int, stop: int, step: int = 1) -> str:
    return s.add("slice", x, axis=0, start=start, stop=stop, step=step)


def shuffle(s: Sketch, x: str) -> str:
    return s.add("channel_shuffle", x, groups=s.groups(s.channels(x)))


def view_shuffle(s: Sketch, x: str) -> str:
    """A channel shuffle that nobody recognised."""
    (width, *map_size), groups = s.shapes[x], s.groups(s.channels(x))
    seen = s.add("permute", s.add("reshape", x, shape=(groups, width // groups, *map_size)), order=(1, 0, 2, 3))
    return s.add("reshape", seen, shape=(width, *map_size))


def shufflenet_v1(s: Sketch, x: str) -> str:
    groups = s.groups(s.channels(x))
    hidden = s.width(groups)
    narrow = s.add("channel_shuffle", s.conv_norm_act(x, hidden, groups=groups), groups=groups)
    wide = s.norm(s.conv(depthwise_only(s, narrow), s.channels(x), groups=groups))
    return s.act(s.add("add", wide, x))


def depthwise_only(s: Sketch, x: str) -> str:
    return s.norm(s.conv(x, s.channels(x), kernel=3, groups=s.channels(x)))


def shufflenet_v2(s: Sketch, x: str) -> str:
    if s.channels(x) % 2:
        x = s.conv(x, s.channels(x) + 1)
    half = s.channels(x) // 2
    branch = depthwise_only(s, s.conv_norm_act(cut_at(s, x, half, 2 * half), s.width()))
    branch = s.conv_norm_act(branch, half)
    return s.add("channel_shuffle", s.add("concat", cut_at(s, x, 0, half), branch, axis=0), groups=2)


def learned_group(s: Sketch, x: str) -> str:
    """An index layer before a grouped convolution; a channel may be picked by several groups, or by none (CondenseNet)."""
    groups = s.random.choice((2, 4))
    index = torch.randint(s.channels(x), (groups * s.random.randint(1, 4),), generator=s.generator)
    picked = s.add("gather", x, tensors={"index": s.store("index", index)})
    return shuffle_if(s, s.conv_norm_act(picked, groups * s.random.randint(1, 4), groups=groups), groups)


def shuffle_if(s: Sketch, x: str, groups: int) -> str:
    return s.add("channel_shuffle", x, groups=groups)


def every_second(s: Sketch, x: str) -> str:
    even, odd = cut_at(s, x, 0, s.channels(x), 2), cut_at(s, x, 1, s.channels(x), 2)
    return s.add("concat", odd, even, axis=0)


def split_attention(s: Sketch, x: str) -> str:
    """ResNeSt: two versions of each channel, weighed against each other by a softmax, and summed."""
    width, (_, *size) = s.width(), s.shapes[x]
    both = s.conv_norm_act(x, 2 * width, kernel=3, groups=2 - s.channels(x) % 2)
    versions = s.add("reshape", both, shape=(2, width, *size))
    pooled = s.add("mean", s.add("sum", versions, axes=(0,), keepdim=False), axes=(1, 2), keepdim=True)
    logits = s.add("reshape", s.conv(s.act(s.conv(pooled, s.width())), 2 * width), shape=(2, width, 1, 1))
    return s.add("sum", s.add("mul", versions, s.add("softmax", logits, axis=0)), axes=(0,), keepdim=False)


def spatial_attention(s: Sketch, x: str) -> str:
    weights = s.conv(x, 1, kernel=3)
    return s.add("mul", x, s.add("sigmoid", weights))


def channel_mean(s: Sketch, x: str) -> str:
    """The channels of x are averaged, so they must stay; those that come after are free."""
    return s.add("mul", s.add("mean", x, axes=(0,), keepdim=True), conv(s, x))


def channel_softmax(s: Sketch, x: str) -> str:
    """Channels compete, so the logits must all stay; what they weigh goes with them."""
    pooled = s.add("mean", x, axes=(1, 2), keepdim=True)
    width = s.width()
    return s.add("mul", s.add("softmax", s.conv(pooled, width), axis=0), s.conv(x, width))


def layer_scale(s: Sketch, x: str) -> str:
    op = s.random.choice(("add", "mul"))
    name = s.store("value", s.normal(s.channels(x)))
    return s.add(op, x, s.add("constant", tensors={"value": name}, shape=(s.channels(x), 1, 1)))


def shared_weight(s: Sketch, x: str) -> str:
    """One weight, two uses."""
    weight = s.store("weight", s.normal(s.channels(x), s.channels(x), 1, 1) / s.channels(x) ** 0.5)
    once = s.act(s.norm(s.conv(x, s.channels(x), weight=weight)))
    return s.act(s.conv(once, s.channels(x), weight=weight))


def shared_norm(s: Sketch, x: str) -> str:
    """One batch normalization for the maps of two layers."""
    width = s.width()
    first = s.norm(s.conv(x, width))
    return s.act(s.add("concat", first, s.norm(s.conv(x, width), like=first), axis=0))


def shift(s: Sketch, x: str) -> str:
    down, right = (tuple(s.random.randint(-1, 1) for _ in range(s.channels(x))) for _ in range(2))
    return conv(s, s.add("shift", x, down=down, right=right))


def rolled(s: Sketch, x: str) -> str:
    return s.add("roll", x, shifts=(s.random.randint(-2, 2),), axes=(s.random.randint(0, 2),))


def pooled(s: Sketch, x: str) -> str:
    window: dict[str, Attr] = {"kernel": (3, 3), "stride": (1, 1), "padding": (1, 1), "ceil": False}
    if s.random.random() < 0.5:
        return s.add("max_pool", x, dilation=(1, 1), **window)
    return s.add("avg_pool", x, count_padding=s.random.random() < 0.5, **window)


def two_maps(s: Sketch, x: str) -> str:
    """Feature maps of two layers side by side: their channels belong together."""
    return s.add("concat", conv_to(s, x, 6), conv_to(s, x, 6), axis=s.random.choice((1, 2)))


def conv_to(s: Sketch, x: str, width: int) -> str:
    return s.act(s.conv(x, width))


def down(s: Sketch, x: str) -> str:
    strided = s.conv(x, s.width(), kernel=3, stride=2)
    return s.add("upsample", strided, scale=(2, 2)) if s.random.random() < 0.5 else strided


Block = Callable[[Sketch, str], str]
BLOCKS: dict[str, Block] = {
    block.__name__: block
    for block in (
        conv, grouped, depthwise, inverted_residual, residual, squeeze_excite, fire, dense, split_and_join, shuffle,
        view_shuffle, shufflenet_v1, shufflenet_v2, learned_group, every_second, split_attention, spatial_attention,
        channel_mean, channel_softmax, layer_scale, shared_weight, shared_norm, shift, rolled, pooled, two_maps, down,
    )
}  # fmt: skip


def random_graph(blocks: Sequence[str], seed: int) -> Graph:
    """A classifier of the blocks in that order, with five classes, in double precision."""
    s = Sketch(seed)
    x = s.conv_norm_act("input", s.width(2), kernel=3)
    for name in blocks:
        if s.channels(x) > 16:
            x = s.conv_norm_act(x, s.width(2))
        x = BLOCKS[name](s, x)
    if s.random.random() < 0.5:
        x = s.add("reshape", s.add("adaptive_avg_pool", x, size=(2, 2)), shape=(s.channels(x) * 4,))
    else:
        x = s.add("mean", x, axes=(1, 2), keepdim=False)
    if s.random.random() < 0.5:
        x = s.act(s.norm(s.linear(x, s.width())))
    return s.graph(s.linear(x, 5))

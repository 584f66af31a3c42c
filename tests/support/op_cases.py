"""Random valid uses of every operation of the IR, for the tests of the table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import torch
from hypothesis import strategies as st
from torch import Tensor

from pocketcnn.graph.node import Attr, Node, Shape
from pocketcnn.graph.ops import OPS

Draw = Callable[[st.SearchStrategy], object]


@dataclass(frozen=True)
class BenchmarkCase:
    """One use of an operation: attributes, shapes of the inputs (per image), and tensors by role."""

    op: str
    inputs: tuple[Shape, ...]
    attrs: Mapping[str, Attr] = field(default_factory=dict)
    tensors: Mapping[str, Tensor] = field(default_factory=dict)

    def node(self, shape: Shape = ()) -> Node:
        names = tuple(f"x{index}" for index in range(len(self.inputs)))
        return Node("node", self.op, names, shape, dict(self.attrs), {role: f"node.{role}" for role in self.tensors})

    def tensor_shapes(self) -> dict[str, Shape]:
        return {role: tuple(tensor.shape) for role, tensor in self.tensors.items()}

    def inferred(self) -> Shape:
        return OPS[self.op].shape(self.node(), list(self.inputs), self.tensor_shapes())

    def values(self, batch: int = 2) -> list[Tensor]:
        generator = torch.Generator().manual_seed(0)
        return [torch.randn(batch, *shape, generator=generator) for shape in self.inputs]

    def run(self, values: list[Tensor], training: bool = False) -> Tensor:
        return OPS[self.op].run(self.node(self.inferred()), values, self.tensors, training)


def sizes(low: int = 1, high: int = 5) -> st.SearchStrategy[int]:
    return st.integers(low, high)


def pairs(low: int = 1, high: int = 3) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(sizes(low, high), sizes(low, high))


maps = st.tuples(sizes(), sizes(1, 9), sizes(1, 9))
vectors = st.tuples(sizes(1, 6))
any_shape = st.one_of(maps, vectors)
floats = st.floats(-4, 4, width=32)


def random_tensor(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(sum(shape))) + 0.1


@st.composite
def conv2d(draw: Draw) -> BenchmarkCase:
    groups, per_group, out = draw(sizes(1, 3)), draw(sizes(1, 3)), draw(sizes(1, 3))
    kernel, stride, dilation, padding = draw(pairs(1, 4)), draw(pairs()), draw(pairs(1, 2)), draw(pairs(0, 3))
    smallest = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilation, padding, strict=True)]
    size = [draw(sizes(low, low + 6)) for low in smallest]
    tensors = {"weight": random_tensor(out * groups, per_group, *kernel)}
    if draw(st.booleans()):
        tensors["bias"] = random_tensor(out * groups)
    attrs = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return BenchmarkCase("conv2d", ((groups * per_group, *size),), attrs, tensors)


@st.composite
def linear(draw: Draw) -> BenchmarkCase:
    inputs, outputs = draw(sizes()), draw(sizes())
    bias = {"bias": random_tensor(outputs)} if draw(st.booleans()) else {}
    return BenchmarkCase("linear", ((inputs,),), {}, {"weight": random_tensor(outputs, inputs), **bias})


@st.composite
def batch_norm(draw: Draw) -> BenchmarkCase:
    shape = draw(any_shape)
    roles = ["running_mean", "running_var", *(["weight", "bias"] if draw(st.booleans()) else [])]
    attrs = {"eps": draw(st.sampled_from([1e-5, 1e-3])), "momentum": draw(st.sampled_from([0.1, 0.01]))}
    return BenchmarkCase("batch_norm", (shape,), attrs, {role: random_tensor(shape[0]) for role in roles})


@st.composite
def local_response_norm(draw: Draw) -> BenchmarkCase:
    attrs = {name: draw(st.floats(0.125, 2, width=32)) for name in ("alpha", "beta", "k")}
    attrs["size"] = draw(st.sampled_from([1, 3, 5]))
    return BenchmarkCase("local_response_norm", (draw(maps),), attrs)


@st.composite
def prelu(draw: Draw) -> BenchmarkCase:
    shape = draw(any_shape)
    return BenchmarkCase("prelu", (shape,), {}, {"weight": random_tensor(draw(st.sampled_from([1, shape[0]])))})


@st.composite
def clip(draw: Draw) -> BenchmarkCase:
    low, high = sorted([draw(floats), draw(floats)])
    return BenchmarkCase("clip", (draw(any_shape),), {"min": low, "max": high})


@st.composite
def softmax(draw: Draw) -> BenchmarkCase:
    shape = draw(any_shape)
    return BenchmarkCase("softmax", (shape,), {"axis": draw(sizes(0, len(shape) - 1))})


def _broadcast(op: str) -> st.SearchStrategy[BenchmarkCase]:
    @st.composite
    def build(draw: Draw) -> BenchmarkCase:
        full = draw(any_shape)
        first, second = (tuple(draw(st.sampled_from([1, size])) for size in full) for _ in range(2))
        return BenchmarkCase(op, (first, second))

    return build()


@st.composite
def constant(draw: Draw) -> BenchmarkCase:
    shape = draw(any_shape)
    return BenchmarkCase("constant", (), {"shape": shape}, {"value": random_tensor(*shape[::-1])})


def _reduction(op: str) -> st.SearchStrategy[BenchmarkCase]:
    @st.composite
    def build(draw: Draw) -> BenchmarkCase:
        shape = draw(any_shape)
        axes = draw(st.lists(sizes(0, len(shape) - 1), min_size=1, max_size=len(shape), unique=True))
        return BenchmarkCase(op, (shape,), {"axes": tuple(axes), "keepdim": draw(st.booleans())})

    return build()


@st.composite
def concat(draw: Draw) -> BenchmarkCase:
    shape = draw(any_shape)
    axis = draw(sizes(0, len(shape) - 1))
    parts = draw(st.lists(sizes(), min_size=1, max_size=3))
    return BenchmarkCase("concat", tuple((*shape[:axis], size, *shape[axis + 1 :]) for size in parts), {"axis": axis})


@st.composite
def slice_(draw: Draw) -> BenchmarkCase:
    shape = draw(any_shape)
    axis = draw(sizes(0, len(shape) - 1))
    start = draw(sizes(0, shape[axis] - 1))
    stop = draw(sizes(start + 1, shape[axis]))
    return BenchmarkCase("slice", (shape,), {"axis": axis, "start": start, "stop": stop, "step": draw(sizes(1, 3))})


@st.composite
def channel_shuffle(draw: Draw) -> BenchmarkCase:
    groups, (channels, height, width) = draw(sizes(1, 4)), draw(maps)
    return BenchmarkCase("channel_shuffle", ((groups * channels, height, width),), {"groups": groups})


@st.composite
def gather(draw: Draw) -> BenchmarkCase:
    shape = draw(any_shape)
    index = draw(st.lists(sizes(0, shape[0] - 1), min_size=1, max_size=6))
    return BenchmarkCase("gather", (shape,), {}, {"index": torch.tensor(index)})


@st.composite
def shift(draw: Draw) -> BenchmarkCase:
    shape = draw(maps)
    down, right = (tuple(draw(sizes(-3, 3)) for _ in range(shape[0])) for _ in range(2))
    return BenchmarkCase("shift", (shape,), {"down": down, "right": right})


@st.composite
def roll(draw: Draw) -> BenchmarkCase:
    shape = draw(any_shape)
    axes = draw(st.lists(sizes(0, len(shape) - 1), min_size=1, max_size=3))
    return BenchmarkCase("roll", (shape,), {"shifts": tuple(draw(sizes(-9, 9)) for _ in axes), "axes": tuple(axes)})


@st.composite
def pad(draw: Draw) -> BenchmarkCase:
    shape = draw(maps)
    pads = []
    for size in (shape[2], shape[1]):  # columns first, as torch has them; a negative pad cuts
        first = draw(sizes(1 - size, 3))
        pads += [first, draw(sizes(1 - size - min(first, 0), 3))]
    return BenchmarkCase("pad", (shape,), {"pads": tuple(pads), "value": draw(floats)})


@st.composite
def reshape(draw: Draw) -> BenchmarkCase:
    shape = draw(maps)
    channels, height, width = shape
    forms = [(channels * height * width,), (channels, height * width), (1, width, 1, height * channels), shape]
    return BenchmarkCase("reshape", (shape,), {"shape": draw(st.sampled_from(forms))})


@st.composite
def permute(draw: Draw) -> BenchmarkCase:
    shape = draw(any_shape)
    return BenchmarkCase("permute", (shape,), {"order": tuple(draw(st.permutations(range(len(shape)))))})


def _pool(op: str) -> st.SearchStrategy[BenchmarkCase]:
    @st.composite
    def build(draw: Draw) -> BenchmarkCase:
        kernel, stride = draw(pairs(1, 4)), draw(pairs())
        padding = tuple(draw(sizes(0, length // 2)) for length in kernel)
        dilation = draw(pairs(1, 2)) if op == "max_pool" else (1, 1)
        smallest = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilation, padding, strict=True)]
        shape = (draw(sizes()), *(draw(sizes(low, low + 6)) for low in smallest))
        attrs = {"kernel": kernel, "stride": stride, "padding": padding, "ceil": draw(st.booleans())}
        extra = {"dilation": dilation} if op == "max_pool" else {"count_padding": draw(st.booleans())}
        return BenchmarkCase(op, (shape,), attrs | extra)

    return build()


def _unary(op: str, **attrs: st.SearchStrategy) -> st.SearchStrategy[BenchmarkCase]:
    return st.builds(lambda shape, given: BenchmarkCase(op, (shape,), given), any_shape, st.fixed_dictionaries(attrs))


def _on_maps(op: str, **attrs: st.SearchStrategy) -> st.SearchStrategy[BenchmarkCase]:
    return st.builds(lambda shape, given: BenchmarkCase(op, (shape,), given), maps, st.fixed_dictionaries(attrs))


CASES: Mapping[str, st.SearchStrategy[BenchmarkCase]] = MappingProxyType(
    {
        "conv2d": conv2d(),
        "linear": linear(),
        "batch_norm": batch_norm(),
        **{
            name: _unary(name)
            for name in ("relu", "relu6", "hardswish", "hardsigmoid", "sigmoid", "silu", "tanh", "softplus", "mish", "erf")
        },
        "gelu": _unary("gelu", tanh=st.booleans()),
        "clip": clip(),
        "leaky_relu": _unary("leaky_relu", slope=floats),
        "elu": _unary("elu", alpha=floats),
        "local_response_norm": local_response_norm(),
        "prelu": prelu(),
        "softmax": softmax(),
        "dropout": _unary("dropout", p=st.floats(0, 1), whole_channels=st.just(False))
        | _on_maps("dropout", p=st.floats(0, 1), whole_channels=st.just(True)),
        **{name: _broadcast(name) for name in ("add", "sub", "mul", "div")},
        "affine": _unary("affine", scale=floats, offset=floats),
        "constant": constant(),
        "mean": _reduction("mean"),
        "sum": _reduction("sum"),
        "concat": concat(),
        "slice": slice_(),
        "channel_shuffle": channel_shuffle(),
        "gather": gather(),
        "shift": shift(),
        "roll": roll(),
        "pad": pad(),
        "reshape": reshape(),
        "permute": permute(),
        "max_pool": _pool("max_pool"),
        "avg_pool": _pool("avg_pool"),
        "adaptive_avg_pool": _on_maps("adaptive_avg_pool", size=pairs(1, 9)),
        "upsample": _on_maps("upsample", scale=pairs(1, 3)),
    }
)  # fmt: skip

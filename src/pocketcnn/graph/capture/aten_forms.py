"""Translation rules for ATen operators that are several operations of the graph; `aten_rules` has those that are one."""

from collections.abc import Mapping
from types import MappingProxyType

from torch import fx

from pocketcnn.graph.capture.builder import Builder, Rule, Value
from pocketcnn.graph.node import Shape
from pocketcnn.graph.ops.base import MAX_FLOAT


def clip(b: Builder) -> Value:
    """ReLU6, ReLU or a clip; a bound that is not given is the largest number of float32."""
    given = b.arguments()
    low = given.get("min_val", given.get("min"))
    high = given.get("max_val", given.get("max"))
    if isinstance(low, fx.Node) or isinstance(high, fx.Node):
        b.fail("the bounds of the clip are computed; they must be numbers")
    x = b.value(given["self"])
    if (low, high) == (0, 6):
        return b.add("relu6", x)
    if low == 0 and (high is None or high >= MAX_FLOAT):
        return b.add("relu", x)
    smallest = -MAX_FLOAT if low is None else max(float(low), -MAX_FLOAT)
    largest = MAX_FLOAT if high is None else min(float(high), MAX_FLOAT)
    return b.add("clip", x, min=smallest, max=largest)


def _gelu(b: Builder) -> Value:
    given = b.arguments()
    return b.add("gelu", b.value(given["self"]), tanh=given["approximate"] == "tanh")


def elu(b: Builder) -> Value:
    """ELU, and SELU and CELU, which are ELUs with a factor before or after: scale · elu(input_scale · x, alpha)."""
    given = b.arguments()
    scale, input_scale = float(given["scale"]), float(given["input_scale"])
    return _scaled(b, _scaled_elu(b, b.value(given["self"]), float(given["alpha"]), input_scale), scale)


def _scaled_elu(b: Builder, x: str, alpha: float, input_scale: float) -> str:
    """x above 0, alpha · (exp(input_scale · x) - 1) below: (1 / s) · elu(s · x, s · alpha)."""
    if input_scale <= 0:
        b.fail(f"an ELU with the input scale {input_scale} is not supported")
    inner = b.add("elu", _scaled(b, x, input_scale), alpha=alpha * input_scale)
    return _scaled(b, inner, 1 / input_scale)


def _scaled(b: Builder, x: str, scale: float) -> str:
    return x if scale == 1 else b.add("affine", x, scale=scale, offset=0.0)


SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
"""Klambauer et al., "Self-Normalizing Neural Networks", NeurIPS 2017, equation 14."""


def _selu(b: Builder) -> Value:
    return _scaled(b, b.add("elu", b.value(b.fx_node().args[0]), alpha=SELU_ALPHA), SELU_SCALE)


def _celu(b: Builder) -> Value:
    """x above 0, alpha · (exp(x / alpha) - 1) below."""
    given = b.arguments()
    alpha = float(given["alpha"])
    return _scaled_elu(b, b.value(given["self"]), alpha, 1 / alpha)


def _power(b: Builder) -> Value:
    """A power by a small whole number, as products."""
    given = b.arguments()
    exponent = given.get("exponent", 2)
    if exponent not in (1, 2, 3, 4):
        b.fail(f"the power is {exponent}; 1, 2, 3 and 4 are supported")
    x = b.value(given["self"])
    if exponent == 1:
        return x
    square = b.add("mul", x, x)
    return square if exponent == 2 else b.add("mul", square, x if exponent == 3 else square)


def linear(b: Builder) -> Value:
    """A linear layer; on a map with its channels last a 1x1 convolution between two permutations."""
    given = b.arguments()
    bias, x, shape = b.optional_tensor(given["bias"]), b.value(given["input"]), b.shape(given["input"])
    if len(shape) == 1:
        return b.add("linear", x, tensors={"weight": b.tensor(given["weight"]), "bias": bias})
    rows: Shape = (shape[0], 1) if len(shape) == 2 else shape[:2]
    if len(shape) > 3:
        b.fail(f"a linear layer on a value of shape {shape}; up to (H, W, C) is supported")
    value = b.add("reshape", x, shape=(*rows, shape[-1])) if len(shape) == 2 else x
    value = b.add("permute", value, order=(2, 0, 1))
    named = {"weight": b.derived(given["weight"], lambda tensor: tensor[:, :, None, None]), "bias": bias}
    value = b.add("conv2d", value, tensors=named, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1)
    value = b.add("permute", value, order=(1, 2, 0))
    outputs = b.shape(b.fx_node())
    return b.add("reshape", value, shape=outputs) if len(shape) == 2 else value


def _conv1d(b: Builder) -> Value:
    """A convolution along one axis: the map is one pixel high."""
    given = b.arguments()
    if isinstance(given["padding"], str):
        b.fail(f"a one-dimensional convolution with the padding {given['padding']!r} is not supported")
    channels, length = b.shape(given["input"])
    named = {
        "weight": b.derived(given["weight"], lambda tensor: tensor[:, :, None]),
        "bias": b.optional_tensor(given["bias"]),
    }
    (stride,), (padding,), (dilation,) = (given[name] for name in ("stride", "padding", "dilation"))
    value = b.add(
        "conv2d",
        b.add("reshape", b.value(given["input"]), shape=(channels, 1, length)),
        tensors=named,
        stride=(1, stride),
        padding=(0, padding),
        dilation=(1, dilation),
        groups=int(given["groups"]),
    )
    return b.add("reshape", value, shape=b.shape(b.fx_node()))


def _stack(b: Builder) -> Value:
    given = b.arguments()
    shape = b.shape(b.fx_node())
    axis = b.axis(given["dim"], len(shape))
    part = (*shape[:axis], 1, *shape[axis + 1 :])
    parts = [b.add("reshape", b.value(each), shape=part) for each in given["tensors"]]
    return parts[0] if len(parts) == 1 else b.add("concat", *parts, axis=axis)


def _unbind(b: Builder) -> Value:
    given = b.arguments()
    source = given["self"]
    x, shape = b.value(source), b.shape(source)
    axis = b.axis(given["dim"], len(shape))
    rest = (*shape[:axis], *shape[axis + 1 :])
    parts = (b.add("slice", x, axis=axis, start=i, stop=i + 1, step=1) for i in range(shape[axis]))
    return tuple(b.add("reshape", part, shape=rest) for part in parts)


def _repeat(b: Builder) -> Value:
    """Copies along some axes, one after the other."""
    given = b.arguments()
    before, counts = b.shape(given["self"]), list(given["repeats" if "repeats" in given else "dims"])
    if len(counts) != len(before) + 1 or counts[0] != 1:
        b.fail(f"it repeats a value of shape {before} {counts} times; the batch axis must stay as it is")
    value = b.value(given["self"])
    for axis, count in enumerate(counts[1:]):
        value = b.add("concat", *[value] * count, axis=axis) if count > 1 else value
    return value


def _expand(b: Builder) -> Value:
    """Nothing: the sum or product that reads it repeats the axes of size 1 itself."""
    node, source = b.fx_node(), b.arguments()["self"]
    if b.shape(node) != b.shape(source) and any(_short_name(user) not in _BROADCASTING for user in node.users):
        b.fail("only a value that is then added or multiplied can be expanded")
    if len(b.shape(node)) != len(b.shape(source)):
        b.fail(f"it expands a value of shape {b.shape(source)} to more axes")
    return b.value(source)


_BROADCASTING = frozenset({"add", "sub", "mul", "div"})


def _short_name(node: fx.Node) -> str:
    return str(node.target).removeprefix("aten.").partition(".")[0].rstrip("_")


def pad_with_pixels(b: Builder) -> Value:
    """Padding of H and W by the pixels of the image itself: mirrored at the border, its border repeated, or its other end."""
    given = b.arguments()
    pads, mode = (*given["pad"], 0, 0)[:4], given["mode"]
    if len(given["pad"]) > 4 or min(pads) < 0 or max(pads) > MOST_PIXELS:
        b.fail(
            f"padding {tuple(given['pad'])} of mode {mode!r}: from 0 to {MOST_PIXELS} pixels of H and W are supported"
        )
    value, shape = b.value(given["self"]), b.shape(given["self"])
    for axis, before, after in ((len(shape) - 1, *pads[:2]), (len(shape) - 2, *pads[2:])):
        size = shape[axis]
        first, last = (_border(mode, size, count, side) for count, side in ((before, 0), (after, 1)))
        parts = [_pixel(b, value, axis, place) for place in first]
        parts += [value, *(_pixel(b, value, axis, place) for place in last)]
        value = b.add("concat", *parts, axis=axis) if len(parts) > 1 else value
    return value


MOST_PIXELS = 8
"""Widest padding by pixels that is written as single rows and columns."""


def _border(mode: str, size: int, count: int, side: int) -> list[int]:
    """The rows or columns, in order, that pad the first (side 0) or last (side 1) border by `count` pixels."""
    steps = range(count, 0, -1) if side == 0 else range(1, count + 1)
    edge = 0 if side == 0 else size - 1
    inwards = 1 if side == 0 else -1
    if mode == "circular":
        return [(edge - inwards * step) % size for step in steps]
    return [edge + (inwards * step if mode == "reflect" else 0) for step in steps]


def _pixel(b: Builder, value: str, axis: int, place: int) -> str:
    return b.add("slice", value, axis=axis, start=place, stop=place + 1, step=1)


FORMS: Mapping[str, Rule] = MappingProxyType(
    {
        **{f"aten.{name}": clip for name in ("hardtanh", "clamp", "clip", "clamp_min", "clamp_max")},
        "aten.gelu": _gelu,
        "aten.elu": elu,
        "aten.selu": _selu,
        "aten.celu": _celu,
        "aten.pow": _power,
        "aten.square": _power,
        "aten.linear": linear,
        "aten.conv1d": _conv1d,
        "aten.stack": _stack,
        "aten.unbind": _unbind,
        "aten.repeat": _repeat,
        "aten.tile": _repeat,
        "aten.expand": _expand,
        "aten.expand_as": _expand,
    }
)

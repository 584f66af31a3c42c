"""Translation rules from the ATen operators of an exported program to operations of the graph; the table is at the end.

Operators called with a single tensor and no other argument are listed in the operation's entry (`Op.aten`) instead.
"""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import fx

from pocketcnn.graph.capture.aten_forms import FORMS, pad_with_pixels
from pocketcnn.graph.capture.builder import COPIES, RESHAPES, Builder, Rule, Value
from pocketcnn.graph.node import Attr
from pocketcnn.graph.ops import OPS

LINEAR_SOFTPLUS = 17
"""Above this argument softplus(x) equals x in float32."""


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return (value, value)
    first, *rest = (int(item) for item in value)
    return (first, rest[0] if rest else first)


def _same(b: Builder) -> Value:
    """Identity: copies, memory formats, casts to the same dtype."""
    argument = b.fx_node().args[0]
    if argument in b.tensor_of:
        b.tensor_of[b.fx_node()] = b.tensor_of[argument]  # type: ignore[index]
        return None
    return b.value(argument)


def _unary(op: str, b: Builder, **attrs: Attr) -> Value:
    return b.add(op, b.value(b.fx_node().args[0]), tensors=None, **attrs)


def _leaky_relu(b: Builder) -> Value:
    return _unary("leaky_relu", b, slope=float(b.arguments()["negative_slope"]))


def _softplus(b: Builder) -> Value:
    given = b.arguments()
    if given["beta"] != 1 or given["threshold"] < LINEAR_SOFTPLUS:
        b.fail(f"a softplus with beta {given['beta']} and threshold {given['threshold']} is not supported")
    return _unary("softplus", b)


def _prelu(b: Builder) -> Value:
    given = b.arguments()
    return b.add("prelu", b.value(given["self"]), tensors={"weight": b.tensor(given["weight"])})


def _softmax(b: Builder) -> Value:
    given = b.arguments()
    return b.add("softmax", b.value(given["self"]), axis=b.axis(given["dim"], len(b.shape(given["self"]))))


def _dropout(whole_channels: bool, b: Builder) -> Value:
    return _unary("dropout", b, p=float(b.arguments()["p"]), whole_channels=whole_channels)


def _conv2d(b: Builder) -> Value:
    given = b.arguments()
    x, stride, dilation = b.value(given["input"]), _pair(given["stride"]), _pair(given["dilation"])
    weight = b.tensor(given["weight"])
    padding = given["padding"]
    if isinstance(padding, str):
        kernel = b.tensors[weight].shape[2:]
        total = [0, 0] if padding == "valid" else [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        if any(amount % 2 for amount in total):  # the extra pixel is added at the bottom and right
            (top, left), (bottom, right) = [t // 2 for t in total], [t - t // 2 for t in total]
            x, total = b.add("pad", x, pads=(left, right, top, bottom), value=0.0), [0, 0]
        padding = [amount // 2 for amount in total]
    return b.add(
        "conv2d",
        x,
        tensors={"weight": weight, "bias": b.optional_tensor(given["bias"])},
        stride=stride,
        padding=_pair(padding),
        dilation=dilation,
        groups=int(given["groups"]),
    )


def _batch_norm(b: Builder) -> Value:
    given = b.arguments()
    if given["training"]:
        b.fail("batch normalization without running statistics cannot run on one image")
    roles = ("weight", "bias", "running_mean", "running_var")
    tensors = {role: b.optional_tensor(given[role]) for role in roles}
    return b.add(
        "batch_norm",
        b.value(given["input"]),
        tensors=tensors,
        eps=float(given["eps"]),
        momentum=float(given["momentum"]),
    )


def _binary(op: str, b: Builder) -> Value:
    given = b.arguments()
    first, second, alpha = given["self"], given["other"], given.get("alpha", 1)
    if not isinstance(second, fx.Node):
        return _with_number(op, b, b.value(first), float(second) * alpha)
    if not isinstance(first, fx.Node) or alpha != 1:
        b.fail(
            "only sums, differences, products and quotients of two values, without a factor or rounding, are supported"
        )
    return b.add(op, b.value(first), b.value(second))


def _with_number(op: str, b: Builder, x: str, number: float) -> Value:
    scale = {"mul": number, "div": 1 / number if number else 0.0}.get(op, 1.0)
    offset = {"add": number, "sub": -number}.get(op, 0.0)
    if op == "div" and number == 0:
        b.fail("division by zero")
    return x if (scale, offset) == (1, 0) else b.add("affine", x, scale=scale, offset=offset)


def _rsub(b: Builder) -> Value:
    given = b.arguments()
    if isinstance(given["other"], fx.Node) or given["alpha"] != 1:
        b.fail("only a number minus a value is supported")
    return b.add("affine", b.value(given["self"]), scale=-1.0, offset=float(given["other"]))


def _reduce(op: str, b: Builder) -> Value:
    given = b.arguments()
    rank = len(b.shape(given["self"]))
    axes = tuple(sorted(b.axis(axis, rank) for axis in given.get("dim") or range(rank + 1)))
    return b.add(op, b.value(given["self"]), axes=axes, keepdim=bool(given.get("keepdim")))


def _reshape(b: Builder) -> Value:
    source = b.fx_node().args[0]
    if source in b.tensor_of:  # a gain of shape (C,) viewed as (1, C, 1, 1)
        b.tensor_of[b.fx_node()] = b.tensor_of[source]  # type: ignore[index]
        return None
    x, before, after = b.value(source), b.shape(source), b.shape(b.fx_node())  # type: ignore[arg-type]
    return x if before == after else b.add("reshape", x, shape=after)


def _transpose(b: Builder) -> Value:
    given = b.arguments()
    rank = len(b.shape(given["self"]))
    order = list(range(rank))
    named = "dim" if "dim0" in given else "axis"
    first, second = b.axis(given[f"{named}0"], rank), b.axis(given[f"{named}1"], rank)
    order[first], order[second] = order[second], order[first]
    return b.add("permute", b.value(given["self"]), order=tuple(order))


def _permute(b: Builder) -> Value:
    given = b.arguments()
    rank = len(b.shape(given["self"]))
    if given["dims"][0] % (rank + 1) != 0:
        b.fail("the permutation moves the batch axis")
    return b.add("permute", b.value(given["self"]), order=tuple(b.axis(axis, rank) for axis in given["dims"][1:]))


def _cat(b: Builder) -> Value:
    given = b.arguments()
    parts = given["tensors"]
    axis = b.axis(given["dim"], len(b.shape(b.fx_node())))
    return b.value(parts[0]) if len(parts) == 1 else b.add("concat", *(b.value(part) for part in parts), axis=axis)


def _part(b: Builder, source: fx.Node, axis: int, start: int, stop: int, step: int = 1) -> str:
    if (start, stop, step) == (0, b.shape(source)[axis], 1):
        return b.value(source)
    return b.add("slice", b.value(source), axis=axis, start=start, stop=stop, step=step)


def _split(b: Builder) -> Value:
    """chunk, split and split_with_sizes: the sizes of the parts are those of the exported values."""
    given = b.arguments()
    source = given["self"]
    axis = b.axis(given["dim"], len(b.shape(source)))
    parts, start = [], 0
    for part in b.fx_node().meta["val"]:
        stop = start + int(part.shape[axis + 1])
        parts.append(_part(b, source, axis, start, stop))
        start = stop
    return tuple(parts)


def _getitem(b: Builder) -> Value:
    source, index = b.fx_node().args[:2]
    parts = b.values.get(source)  # type: ignore[arg-type]
    if not isinstance(parts, tuple) or not isinstance(index, int):
        b.fail("it indexes a value that is not a list of tensors")
    return parts[index]


def _slice(b: Builder) -> Value:
    given = b.arguments()
    source = given["self"]
    size = int(source.meta["val"].shape[given["dim"]])
    start, stop, step = slice(given["start"], given["end"], given["step"]).indices(size)
    if (start, stop, step) == (0, size, 1):
        return b.value(source)
    return _part(b, source, b.axis(given["dim"], len(b.shape(source))), start, stop, step)


def _select(b: Builder) -> Value:
    given = b.arguments()
    source = given["self"]
    axis = b.axis(given["dim"], len(b.shape(source)))
    index = given["index"] % b.shape(source)[axis]
    return b.add("reshape", _part(b, source, axis, index, index + 1), shape=b.shape(b.fx_node()))


def _index(b: Builder) -> Value:
    """x[:, index], where index is a constant list of channels."""
    given = b.arguments()
    batch, *rest = given["indices"]
    if batch is not None or len(rest) != 1:
        b.fail("only indexing by a constant list of channels is supported")
    return b.add("gather", b.value(given["self"]), tensors={"index": b.tensor(rest[0])})


def _index_select(b: Builder) -> Value:
    given = b.arguments()
    if b.axis(given["dim"], len(b.shape(given["self"]))) != 0:
        b.fail("only selection of channels is supported")
    return b.add("gather", b.value(given["self"]), tensors={"index": b.tensor(given["index"])})


def _channel_shuffle(b: Builder) -> Value:
    return _unary("channel_shuffle", b, groups=int(b.arguments()["groups"]))


def _shift(b: Builder) -> Value:
    given = b.arguments()
    return b.add("shift", b.value(given["x"]), down=tuple(given["down"]), right=tuple(given["right"]))


def _roll(b: Builder) -> Value:
    given = b.arguments()
    rank = len(b.shape(given["self"]))
    if not given["dims"]:
        b.fail("a roll of the flattened tensor mixes the images of a batch")
    axes = tuple(b.axis(axis, rank) for axis in given["dims"])
    return b.add("roll", b.value(given["self"]), shifts=tuple(given["shifts"]), axes=axes)


def _pad(b: Builder) -> Value:
    given = b.arguments()
    pads = tuple(given["pad"])
    if given.get("mode", "constant") != "constant":
        return pad_with_pixels(b)
    if any(pads[4:]):
        b.fail(f"padding {pads}: only constant padding of H and W is supported")
    pads = (*pads, 0, 0, 0, 0)[:4]
    lowest = torch.finfo(given["self"].meta["val"].dtype).min  # for -inf, as before a max pooling: JSON has no infinity
    value = min(max(float(given["value"] or 0), lowest), -lowest)
    return b.add("pad", b.value(given["self"]), pads=pads, value=value)


def _pool(op: str, b: Builder) -> Value:
    given = b.arguments()
    if given.get("divisor_override") is not None:
        b.fail("average pooling with divisor_override is not supported")
    kernel = _pair(given["kernel_size"])
    attrs: dict[str, Attr] = {
        "kernel": kernel,
        "stride": _pair(given["stride"]) if given["stride"] else kernel,
        "padding": _pair(given["padding"]),
        "ceil": bool(given["ceil_mode"]),
    }
    if op == "max_pool":
        attrs["dilation"] = _pair(given["dilation"])
    else:
        attrs["count_padding"] = bool(given["count_include_pad"])
    return b.add(op, b.value(given["self"]), tensors=None, **attrs)


def _adaptive_avg_pool(b: Builder) -> Value:
    given = b.arguments()
    x, size = b.value(given["self"]), _pair(given["output_size"])
    if size == (1, 1):
        return b.add("mean", x, axes=(1, 2), keepdim=True)
    return x if size == b.shape(given["self"])[1:] else b.add("adaptive_avg_pool", x, size=size)


def _upsample(b: Builder) -> Value:
    source = b.fx_node().args[0]
    before, after = b.shape(source)[1:], b.shape(b.fx_node())[1:]  # type: ignore[arg-type]
    if any(large % small for small, large in zip(before, after, strict=True)):
        b.fail(f"it scales {before} to {after}; only integer factors are supported")
    return b.add("upsample", b.value(source), scale=(after[0] // before[0], after[1] // before[1]))


def _nothing(b: Builder) -> Value:
    """Assertions of the exporter, which compute nothing."""
    return None


_LONG_NAMES = {"subtract": "sub", "multiply": "mul", "divide": "div", "true_divide": "div"}

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        **FORMS,
        **{f"aten.{name}": partial(_unary, op.name) for op in OPS.values() for name in op.aten},
        **{f"aten.{name}": _same for name in COPIES},
        **{f"aten.{name}": _reshape for name in RESHAPES},
        **{f"aten.{name}": partial(_binary, name) for name in ("add", "sub", "mul", "div")},
        **{f"aten.{name}": partial(_binary, short) for name, short in _LONG_NAMES.items()},
        **{f"aten.{name}": partial(_reduce, name) for name in ("mean", "sum")},
        **{f"aten.{name}": _split for name in ("chunk", "split", "split_with_sizes")},
        "aten.leaky_relu": _leaky_relu,
        "aten.prelu": _prelu,
        "aten.softplus": _softplus,
        "aten.softmax": _softmax,
        "aten.dropout": partial(_dropout, False),
        "aten.feature_dropout": partial(_dropout, True),
        "aten.conv2d": _conv2d,
        "aten.batch_norm": _batch_norm,
        "aten.rsub": _rsub,
        **{f"aten.{name}": _transpose for name in ("transpose", "swapaxes", "swapdims")},
        "aten.permute": _permute,
        **{f"aten.{name}": _cat for name in ("cat", "concat", "concatenate")},
        "aten.slice": _slice,
        "aten.select": _select,
        "aten.index": _index,
        "aten.index_select": _index_select,
        "aten.channel_shuffle": _channel_shuffle,
        "aten.native_channel_shuffle": _channel_shuffle,
        "aten.roll": _roll,
        "aten.pad": _pad,
        "aten.constant_pad_nd": _pad,
        "aten.max_pool2d": partial(_pool, "max_pool"),
        "aten.avg_pool2d": partial(_pool, "avg_pool"),
        "aten.adaptive_avg_pool2d": _adaptive_avg_pool,
        "aten.upsample_nearest2d": _upsample,
        "aten._assert_tensor_metadata": _nothing,
        "pocketcnn.shift": _shift,
        "<built-in function getitem>": _getitem,
    }
)

"""Import of ONNX operators with a sliding window: convolution and pooling, with all padding modes."""

from typing import Any

import numpy as np

from pocketcnn.formats.onnx.translation import Computed, Reader
from pocketcnn.graph.ops.base import MAX_FLOAT
from pocketcnn.graph.ops.pooling import pooled_length

Pair = tuple[int, int]
Pads = tuple[int, int, int, int]
"""(top, left, bottom, right)."""


def convolution(r: Reader) -> str:
    """Conv; asymmetric padding becomes a separate pad before it."""
    weight = r.array(1)
    if weight.ndim != 4:
        r.fail(f"its weight has the shape {weight.shape}; it must be (N, C/groups, Kh, Kw)")
    stride, dilation = _pair(r, "strides"), _pair(r, "dilations")
    pads = _pads(r, (weight.shape[2], weight.shape[3]), stride, dilation)
    x, padding = _with_even_padding(r, r.value(0), pads, 0.0)
    roles = {"weight": weight, **({"bias": r.array(2)} if r.has(2) else {})}
    groups = int(r.attribute("group", 1))
    return r.layer("conv2d", x, roles, stride=stride, padding=padding, dilation=dilation, groups=groups)


def max_pool(r: Reader) -> Computed:
    """MaxPool of floats or integers."""
    kernel, stride, dilation = _pair(r, "kernel_shape"), _pair(r, "strides"), _pair(r, "dilations")
    pads, given = _pads(r, kernel, stride, dilation), r.computed(0)
    x, ceil = given.node, bool(r.attribute("ceil_mode", 0))
    padding = (pads[0], pads[1])
    if pads[:2] != pads[2:] and not ceil:
        ceil = _same_windows(r, kernel, stride, dilation, pads)
        if not ceil:
            if given.stored is not None:
                r.fail("asymmetric padding is not supported for integers")
            x, padding = _with_even_padding(r, x, pads, -MAX_FLOAT)
    window: dict[str, Any] = {
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "ceil": ceil,
    }
    return Computed(r.add("max_pool", x, stored=given.stored, **window), given.stored)


def average_pool(r: Reader) -> str:
    """AveragePool. Asymmetric padding becomes a separate pad if it is counted, else a window that exceeds the input."""
    kernel, stride = _pair(r, "kernel_shape"), _pair(r, "strides")
    pads, ceil = _pads(r, kernel, stride, (1, 1)), bool(r.attribute("ceil_mode", 0))
    counted, x, padding = bool(r.attribute("count_include_pad", 0)), r.value(0), (pads[0], pads[1])
    if pads[:2] != pads[2:]:
        if counted:
            x, padding = _with_even_padding(r, x, pads, 0.0)
        elif not ceil and _same_windows(r, kernel, stride, (1, 1), pads):
            ceil = True
        else:
            r.fail("asymmetric padding without count_include_pad is not supported")
    return r.add(
        "avg_pool", x, kernel=kernel, stride=stride, padding=padding, ceil=ceil, count_padding=counted and any(padding)
    )


def _pair(r: Reader, name: str) -> Pair:
    vertical, horizontal = r.attribute(name) or (1, 1)
    return int(vertical), int(horizontal)


def _pads(r: Reader, kernel: Pair, stride: Pair, dilation: Pair) -> Pads:
    """The padding, from ``pads`` or ``auto_pad``."""
    how = r.attribute("auto_pad", "NOTSET")
    if how == "NOTSET":
        top, left, bottom, right = (int(size) for size in r.attribute("pads") or (0, 0, 0, 0))
        return top, left, bottom, right
    if how == "VALID":
        return 0, 0, 0, 0
    total = [
        max((-(-size // step) - 1) * step + gap * (length - 1) + 1 - size, 0)
        for size, length, step, gap in zip(r.shape(0)[1:], kernel, stride, dilation, strict=True)
    ]
    less, more = [size // 2 for size in total], [size - size // 2 for size in total]
    first, last = (less, more) if how == "SAME_UPPER" else (more, less)
    return first[0], first[1], last[0], last[1]


def _with_even_padding(r: Reader, x: str, pads: Pads, number: float) -> tuple[str, Pair]:
    """A value and a symmetric padding that together are equivalent to `pads`."""
    top, left, bottom, right = pads
    if (top, left) == (bottom, right):
        return x, (top, left)
    padded = r.add("pad", x, pads=(left, right, top, bottom), value=number, name=f"{r.current.output[0]}/padded")
    return padded, (0, 0)


def _same_windows(r: Reader, kernel: Pair, stride: Pair, dilation: Pair, pads: Pads) -> bool:
    """Whether symmetric padding with ``ceil_mode`` gives the same windows as the larger padding at the end."""
    wanted, rounded = [], []
    for axis, size in enumerate(r.shape(0)[1:]):
        room = size + pads[axis] + pads[axis + 2] - dilation[axis] * (kernel[axis] - 1) - 1
        wanted.append(room // stride[axis] + 1)
        rounded.append(pooled_length(size, kernel[axis], stride[axis], pads[axis], dilation[axis], ceil=True))
    return bool(np.all(np.array(wanted) == rounded))

"""Pooling and resampling of feature maps."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from pocketcnn.graph.node import Node, Shape
from pocketcnn.graph.ops.base import Kind, OnnxEmitter, Op, require, require_rank
from pocketcnn.graph.ops.facts import ChannelRule, Family
from pocketcnn.graph.ops.reach import sliding_reach, upsample_reach, whole_input


def pooled_length(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil: bool) -> int:
    """Output length of a pooling window along one axis; with `ceil`, a last window that starts in the padding is dropped."""
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    length = (-(-room // stride) if ceil else room // stride) + 1
    return length - 1 if ceil and (length - 1) * stride >= size + padding else length


def _pool_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    require_rank(node, inputs[0], 3)
    kernel, stride, padding = (node.pair(name) for name in ("kernel", "stride", "padding"))
    dilation = node.pair("dilation") if "dilation" in node.attrs else (1, 1)
    valid = min(*kernel, *stride, *dilation) >= 1 and min(padding) >= 0
    require(valid, node, "kernel, stride and dilation must be 1 or more, the padding 0 or more")
    require(all(2 * p <= k for p, k in zip(padding, kernel, strict=True)), node, "the padding exceeds half the kernel")
    out = tuple(
        pooled_length(size, kernel[axis], stride[axis], padding[axis], dilation[axis], node.flag("ceil"))
        for axis, size in enumerate(inputs[0][1:])
    )
    require(min(out) >= 1, node, f"the input of shape {inputs[0]} is smaller than the kernel")
    return (inputs[0][0], *out)


def window_reach(node: Node, shape: Shape) -> tuple[int, int]:
    """Rows and columns by which the last window exceeds the input: the padding, or more with `ceil`."""
    vertical, horizontal = _last_ends(node, shape)
    down, right = node.pair("padding")
    return max(down, vertical), max(right, horizontal)


def _last_ends(node: Node, shape: Shape) -> tuple[int, int]:
    """The end of the last window relative to the end of the input; negative if it ends before."""
    kernel, stride, padding = (node.pair(name) for name in ("kernel", "stride", "padding"))
    dilation = node.pair("dilation") if "dilation" in node.attrs else (1, 1)
    down, right = (
        (length - 1) * s + d * (k - 1) + 1 - size - p
        for length, size, k, s, p, d in zip(node.shape[1:], shape[1:], kernel, stride, padding, dilation, strict=True)
    )
    return down, right


def _window(node: Node, shape: Shape) -> dict[str, object]:
    """Explicit padding up to the end of the last window, because ONNX runtimes interpret ``ceil_mode`` differently."""
    pads = (*node.pair("padding"), *window_reach(node, shape))
    return {"kernel_shape": node.pair("kernel"), "strides": node.pair("stride"), "pads": pads}


def _run_max(node: Node, inputs: Sequence[Tensor], tensors: Mapping[str, Tensor], training: bool) -> Tensor:
    kernel, stride, padding, dilation = (node.pair(name) for name in ("kernel", "stride", "padding", "dilation"))
    return F.max_pool2d(inputs[0], kernel, stride, padding, dilation, ceil_mode=node.flag("ceil"))


def _max_onnx(node: Node, emit: OnnxEmitter) -> str:
    """Runtimes reject a padding of the kernel's size or more, which dilation can require: it becomes a separate Pad."""
    value, window, (top, left) = emit.inputs[0], _window(node, emit.shapes[0]), node.pair("padding")
    down, right = window_reach(node, emit.shapes[0])
    if down >= node.pair("kernel")[0] or right >= node.pair("kernel")[1]:
        value = _padded(emit, value, (0, 0, down - top, right - left), float("-inf"))
        window["pads"] = (top, left, top, left)
    return emit.op("MaxPool", value, **window, dilations=node.pair("dilation"))


def _padded(emit: OnnxEmitter, value: str, pads: tuple[int, int, int, int], number: float) -> str:
    """`value` padded with `number`; `pads` is (top, left, bottom, right)."""
    everywhere = np.array([0, 0, *pads[:2], 0, 0, *pads[2:]], dtype=np.int64)
    return emit.op("Pad", value, emit.constant(everywhere), emit.number(number))


MAX_POOL = Op(
    name="max_pool",
    family=Family.POOLING,
    channels=ChannelRule.WITHIN_CHANNEL,
    reach=sliding_reach,
    homogeneous=True,
    data_movement=True,
    attrs={"kernel": Kind.PAIR, "stride": Kind.PAIR, "padding": Kind.PAIR, "dilation": Kind.PAIR, "ceil": Kind.BOOL},
    shape=_pool_shape,
    run=_run_max,
    onnx=_max_onnx,
)


def _run_avg(node: Node, inputs: Sequence[Tensor], tensors: Mapping[str, Tensor], training: bool) -> Tensor:
    kernel, stride, padding = (node.pair(name) for name in ("kernel", "stride", "padding"))
    return F.avg_pool2d(inputs[0], kernel, stride, padding, node.flag("ceil"), node.flag("count_padding"))


def window_counts(node: Node, shape: Shape) -> np.ndarray:
    """The divisor of each window of an average pooling of a value of `shape`, (H, W) of the result.

    The padding counts if the node says so; pixels beyond the padding never count.
    """
    lengths = []
    for axis, size in enumerate(shape[1:]):
        kernel, stride, padding = (node.pair(name)[axis] for name in ("kernel", "stride", "padding"))
        start = np.arange(node.shape[axis + 1]) * stride - padding
        stop = np.minimum(start + kernel, size + padding)
        if not node.flag("count_padding"):
            start, stop = np.maximum(start, 0), np.minimum(stop, size)
        lengths.append(stop - start)
    return np.outer(*lengths)


def _avg_onnx(node: Node, emit: OnnxEmitter) -> str:
    """torch counts the padding but no pixels beyond it: where a window exceeds the padding, that becomes a separate Pad."""
    value, window = emit.inputs[0], _window(node, emit.shapes[0])
    counted, (top, left), (down, right) = (
        node.flag("count_padding"),
        node.pair("padding"),
        window_reach(node, emit.shapes[0]),
    )
    if counted and (down, right) != (top, left) and (top, left) != (0, 0):
        last = _last_ends(node, emit.shapes[0])
        bottom, end = (
            max(0, min(sizes)) for sizes in zip((top, left), last, strict=True)
        )  # no more padding than the windows read
        value = _padded(emit, value, (top, left, bottom, end), 0.0)
        window["pads"], counted = (0, 0, down - top, right - left), False
    return emit.op("AveragePool", value, **window, count_include_pad=int(counted and (top, left) != (0, 0)))


AVG_POOL = Op(
    name="avg_pool",
    family=Family.POOLING,
    channels=ChannelRule.WITHIN_CHANNEL,
    reach=sliding_reach,
    homogeneous=True,
    attrs={
        "kernel": Kind.PAIR,
        "stride": Kind.PAIR,
        "padding": Kind.PAIR,
        "ceil": Kind.BOOL,
        "count_padding": Kind.BOOL,
    },
    shape=_pool_shape,
    run=_run_avg,
    onnx=_avg_onnx,
)


def _adaptive_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    require_rank(node, inputs[0], 3)
    require(min(node.pair("size")) >= 1, node, f"the output size is {node.pair('size')}; it must be 1 or more")
    return (inputs[0][0], *node.pair("size"))


def _bins(size: int, bins: int) -> list[tuple[int, int]]:
    """The half-open input range of each adaptive bin."""
    return [(index * size // bins, -(-(index + 1) * size // bins)) for index in range(bins)]


def _adaptive_onnx(node: Node, emit: OnnxEmitter) -> str:
    """ONNX has no adaptive pooling: equal bins become a pooling, others a product with an averaging matrix per axis."""
    _, height, width = emit.shapes[0]
    rows, columns = node.pair("size")
    if height % rows == 0 and width % columns == 0:
        kernel = (height // rows, width // columns)
        return emit.op("AveragePool", emit.inputs[0], kernel_shape=kernel, strides=kernel)
    down = emit.op("MatMul", emit.constant(averaging_matrix(height, rows)), emit.inputs[0])
    return emit.op("MatMul", down, emit.constant(averaging_matrix(width, columns).T.copy()))


def averaging_matrix(size: int, bins: int) -> np.ndarray:
    """(bins, size): row i averages over adaptive bin i."""
    matrix = np.zeros((bins, size), dtype=np.float32)
    for row, (start, stop) in enumerate(_bins(size, bins)):
        matrix[row, start:stop] = 1 / (stop - start)
    return matrix


ADAPTIVE_AVG_POOL = Op(
    name="adaptive_avg_pool",
    family=Family.POOLING,
    channels=ChannelRule.WITHIN_CHANNEL,
    reach=whole_input,
    homogeneous=True,
    attrs={"size": Kind.PAIR},
    shape=_adaptive_shape,
    run=lambda node, inputs, tensors, training: F.adaptive_avg_pool2d(inputs[0], node.pair("size")),
    onnx=_adaptive_onnx,
)


def _upsample_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    require_rank(node, inputs[0], 3)
    vertical, horizontal = node.pair("scale")
    require(
        min(vertical, horizontal) >= 1 and max(vertical, horizontal) <= 64,
        node,
        f"the scale is {node.pair('scale')}; it must be from 1 to 64",
    )
    return (inputs[0][0], inputs[0][1] * vertical, inputs[0][2] * horizontal)


def _run_upsample(node: Node, inputs: Sequence[Tensor], tensors: Mapping[str, Tensor], training: bool) -> Tensor:
    vertical, horizontal = node.pair("scale")
    return F.interpolate(inputs[0], scale_factor=(float(vertical), float(horizontal)), mode="nearest")


def _upsample_onnx(node: Node, emit: OnnxEmitter) -> str:
    scales = emit.constant(np.array([1, 1, *node.pair("scale")], dtype=np.float32))
    return emit.op(
        "Resize",
        emit.inputs[0],
        "",
        scales,
        mode="nearest",
        nearest_mode="floor",
        coordinate_transformation_mode="asymmetric",
    )


UPSAMPLE = Op(
    name="upsample",
    family=Family.POOLING,
    channels=ChannelRule.WITHIN_CHANNEL,
    reach=upsample_reach,
    homogeneous=True,
    data_movement=True,
    attrs={"scale": Kind.PAIR},
    shape=_upsample_shape,
    run=_run_upsample,
    onnx=_upsample_onnx,
)

POOLING_OPS = (MAX_POOL, AVG_POOL, ADAPTIVE_AVG_POOL, UPSAMPLE)

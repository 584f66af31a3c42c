"""Translation rules from ONNX operators to operations of the graph, the counterpart of `graph/capture/aten_rules.py`.

Operators that always map to one operation have their rule in its `Op`; here are those that map to one of several.
"""

from collections.abc import Mapping
from functools import partial
from math import inf
from types import MappingProxyType
from typing import Any

import numpy as np

from pocketcnn.formats.onnx.reader_windows import average_pool, convolution, max_pool
from pocketcnn.formats.onnx.translation import Computed, Reader, Result, Rule
from pocketcnn.graph.numerics import ActivationFormat
from pocketcnn.graph.ops import OPS
from pocketcnn.graph.ops.base import MAX_FLOAT
from pocketcnn.graph.ops.pooling import averaging_matrix

_SUM_ORDER_FREE = frozenset({"add", "mul"})


# Activations --------------------------------------------------------------------------------------------------


def _clip(r: Reader) -> Result:
    low, high = (
        float(r.array(index)) if r.has(index) else r.attribute(name, default)
        for index, name, default in ((1, "min", -inf), (2, "max", inf))
    )
    x = r.computed(0)
    if x.stored is not None:
        return _saturated(r, x, x.stored, low, high)
    if low == 0 and high >= MAX_FLOAT:
        return r.add("relu", x.node)
    if (low, high) == (0, 6):
        return r.add("relu6", x.node)
    return r.add("clip", x.node, min=max(low, -MAX_FLOAT), max=min(high, MAX_FLOAT))


def _saturated(r: Reader, x: Computed, fmt: ActivationFormat, low: float, high: float) -> Result:
    """Integers of fewer than 8 bits: int8 or uint8 followed by Clip."""
    for bits in range(2, 9):
        narrow = fmt.model_copy(update={"bits": bits})
        if (narrow.low, narrow.high) == (low, high):
            r.activations[x.node] = narrow
            return Computed(x.node, narrow)
    r.fail(f"it clips integers to {low:g} … {high:g}, which is not the range of 2 to 8 bits")


def _same(r: Reader) -> Result:
    return r.computed(0)


# Arithmetic ---------------------------------------------------------------------------------------------------


def _binary(op: str, r: Reader) -> Result:
    if r.is_constant(1) and r.array(1).size == 1:
        return _with_number(op, r, r.value(0), float(r.array(1).reshape(())))
    if r.is_constant(0) and r.array(0).size == 1 and op != "div":
        number, x = float(r.array(0).reshape(())), r.value(1)
        return r.add("affine", x, scale=-1.0, offset=number) if op == "sub" else _with_number(op, r, x, number)
    if op == "add" and (biased := _as_bias(r)) is not None:
        return biased
    rank = max(len(r.shape(index)) for index in (0, 1) if not r.is_constant(index))
    return r.add(op, r.value(0, rank), r.value(1, rank))


def _with_number(op: str, r: Reader, x: str, number: float) -> Result:
    if op == "div" and number == 0:
        r.fail("division by zero")
    scale = {"mul": number, "div": 1 / number if number else 0.0}.get(op, 1.0)
    offset = {"add": number, "sub": -number}.get(op, 0.0)
    return x if (scale, offset) == (1, 0) else r.add("affine", x, scale=scale, offset=offset)


def _as_bias(r: Reader) -> Result | None:
    """A linear layer as MatMul + Add: the addend is the layer's bias."""
    for x, constant in ((0, 1), (1, 0)):
        if r.is_constant(x) or not r.is_constant(constant):
            continue
        node = r.nodes[-1]
        from_last = r.computed(x).node == node.name and r.is_read_once(r.current.input[x])
        bias = r.array(constant).reshape(-1)
        if from_last and node.op == "linear" and "bias" not in node.tensors and bias.shape == node.shape:
            r.nodes.pop()
            del r.shapes[node.name]
            named = r.tensor(f"{node.tensors['weight'].removesuffix('.weight')}.bias", bias.astype(np.float32))
            return r.add("linear", *node.inputs, tensors={**node.tensors, "bias": named}, name=node.name)
    return None


def _reduce(op: str, r: Reader) -> Result:
    rank = len(r.shape(0))
    given = r.array(1).reshape(-1).tolist() if r.has(1) else r.attribute("axes")
    if not given:
        r.fail("it reduces the batch axis too")
    axes = tuple(sorted(r.axis(int(axis), rank) for axis in given))
    return r.add(op, r.value(0), axes=axes, keepdim=bool(r.attribute("keepdims", 1)))


def _global_average(r: Reader) -> Result:
    return r.add("mean", r.value(0), axes=(1, 2), keepdim=True)


def _global_max(r: Reader) -> Result:
    size = r.shape(0)[1:]
    window: dict[str, Any] = {"kernel": size, "stride": size, "padding": (0, 0), "dilation": (1, 1), "ceil": False}
    return r.add("max_pool", r.value(0), **window)


def _gemm(r: Reader) -> Result:
    if r.attribute("transA", 0):
        r.fail("it transposes the features")
    weight, alpha, beta = r.array(1), r.attribute("alpha", 1.0), r.attribute("beta", 1.0)
    outputs = 0 if r.attribute("transB", 0) else 1
    roles = {"weight": alpha * (weight if outputs == 0 else weight.T)}
    if r.has(2):
        roles["bias"] = np.broadcast_to(beta * r.array(2).reshape(-1), (weight.shape[outputs],))
    if alpha != 1:
        r.integers.pop(r.current.input[1], None)  # alpha changes the scale
    return r.layer("linear", r.value(0), roles, axis=outputs)


def _matmul(r: Reader) -> Result:
    """A linear layer, or the two halves of an adaptive average pooling whose bins differ in size."""
    if r.is_constant(1) and len(r.shape(0)) == 1 and r.array(1).ndim == 2:
        return r.layer("linear", r.value(0), {"weight": r.array(1).T}, axis=1)
    for constant, x in ((0, 1), (1, 0)):
        if r.is_constant(constant) and len(r.shape(x)) == 3:
            matrix = r.array(constant) if constant == 0 else r.array(constant).T
            size = list(r.shape(x)[1:])
            bins, length = matrix.shape
            if length == size[constant] and np.allclose(matrix, averaging_matrix(length, bins), atol=1e-6):
                size[constant] = bins
                return r.add("adaptive_avg_pool", r.value(x), size=tuple(size))
    r.fail("only products of features and a constant matrix are supported")


# Data movement, on integers and floats ------------------------------------------------------------------------


def _move(r: Reader, op: str, x: Computed, **attrs: Any) -> Computed:
    """Append a data-movement node for `x`; the quantization format is unchanged."""
    return Computed(r.add(op, x.node, stored=x.stored, **attrs), x.stored)


def _reshape_to(r: Reader, shape: tuple[int, ...]) -> Result:
    x = r.computed(0)
    return x if shape == r.shapes[x.node] else _move(r, "reshape", x, shape=shape)


def _reshape(r: Reader) -> Result:
    target = [int(size) for size in r.array(1).reshape(-1)]
    before = (r.batch, *r.shape(0))
    if not r.attribute("allowzero", 0):
        target = [before[place] if size == 0 else size for place, size in enumerate(target)]
    if -1 in target:
        known = int(np.prod([size for size in target if size != -1]))
        target[target.index(-1)] = int(np.prod(before)) // max(known, 1)
    return _reshape_to(r, r.without_batch(target))


def _flatten(r: Reader) -> Result:
    if r.axis(r.attribute("axis", 1), len(r.shape(0))) != 0:
        r.fail("only flattening to (N, features) is supported")
    return _reshape_to(r, (int(np.prod(r.shape(0))),))


def _squeeze(r: Reader) -> Result:
    shape = r.shape(0)
    given = r.array(1).reshape(-1).tolist() if r.has(1) else r.attribute("axes")
    axes = {r.axis(axis, len(shape)) for axis in given} if given else {i for i, size in enumerate(shape) if size == 1}
    return _reshape_to(r, tuple(size for axis, size in enumerate(shape) if axis not in axes))


def _unsqueeze(r: Reader) -> Result:
    given = r.array(1).reshape(-1).tolist() if r.has(1) else r.attribute("axes")
    shape = list(r.shape(0))
    rank = len(shape) + len(given)
    for axis in sorted(r.axis(axis, rank) for axis in given):
        shape.insert(axis, 1)
    return _reshape_to(r, tuple(shape))


def _transpose(r: Reader) -> Result:
    rank = len(r.shape(0))
    order = r.attribute("perm", list(range(rank, -1, -1)))
    if order[0] != 0:
        r.fail("it moves the batch axis")
    return _move(r, "permute", r.computed(0), order=tuple(axis - 1 for axis in order[1:]))


def _concat(r: Reader) -> Result:
    places = range(len(r.current.input))
    rank = max(len(r.shape(index)) for index in places if not r.is_constant(index))
    axis = r.axis(r.attribute("axis"), rank)
    stored = {r.computed(index).stored for index in places if not r.is_constant(index)}
    if stored == {None}:
        return r.add("concat", *(r.value(index, rank) for index in places), axis=axis)
    if len(stored) != 1 or any(r.is_constant(index) for index in places):
        r.fail("it concatenates integers with different scales")
    (fmt,) = stored
    return Computed(r.add("concat", *(r.computed(index).node for index in places), axis=axis, stored=fmt), fmt)


def _slice(r: Reader) -> Result:
    x, shape = r.computed(0), r.shape(0)
    if r.has(1):
        starts, ends = (r.array(index).reshape(-1).tolist() for index in (1, 2))
        axes = r.array(3).reshape(-1).tolist() if r.has(3) else list(range(len(starts)))
        steps = r.array(4).reshape(-1).tolist() if r.has(4) else [1] * len(starts)
    else:
        starts, ends = r.attribute("starts"), r.attribute("ends")
        axes, steps = r.attribute("axes", list(range(len(starts)))), [1] * len(starts)
    for start, end, full_axis, step in zip(starts, ends, axes, steps, strict=True):
        if full_axis % (len(shape) + 1) == 0 and start == 0 and end >= r.batch and step == 1:
            continue
        axis = r.axis(full_axis, len(shape))
        if step < 1:
            r.fail("its step is negative")
        x = _slice_axis(r, x, axis, *slice(start, end, step).indices(shape[axis]))
    return x


def _slice_axis(r: Reader, x: Computed, axis: int, start: int, stop: int, step: int = 1) -> Computed:
    if (start, stop, step) == (0, r.shapes[x.node][axis], 1):
        return x
    return _move(r, "slice", x, axis=axis, start=start, stop=stop, step=step)


def _split(r: Reader) -> Result:
    x, shape = r.computed(0), r.shape(0)
    axis, parts = r.axis(r.attribute("axis", 0), len(shape)), len(r.current.output)
    sizes = r.array(1).tolist() if r.has(1) else r.attribute("split")
    if sizes is None:
        each = -(-shape[axis] // parts)
        sizes = [min(each, shape[axis] - each * index) for index in range(parts)]
    ends = np.cumsum(sizes)
    return tuple(_slice_axis(r, x, axis, int(end - size), int(end)) for size, end in zip(sizes, ends, strict=True))


def _gather(r: Reader) -> Result:
    """Selection of channels; consecutive indices become a slice, a rotation a roll, a scalar index a slice and a reshape."""
    x, shape, index = r.computed(0), r.shape(0), r.array(1)
    axis = r.axis(r.attribute("axis", 0), len(shape))
    order = (index.reshape(-1) % shape[axis]).tolist()
    if index.ndim == 0:
        part = _slice_axis(r, x, axis, order[0], order[0] + 1)
        return _move(r, "reshape", part, shape=(*shape[:axis], *shape[axis + 1 :]))
    if index.ndim != 1:
        r.fail(f"its indices have the shape {index.shape}; they must have one axis")
    step = order[1] - order[0] if len(order) > 1 else 1
    if step >= 1 and order == list(range(order[0], order[-1] + 1, step)):
        return _slice_axis(r, x, axis, order[0], order[-1] + 1, step)
    rotated = [(place + order[0]) % shape[axis] for place in range(shape[axis])]
    if order == rotated:
        return _move(r, "roll", x, shifts=((-order[0]) % shape[axis],), axes=(axis,))
    if axis != 0:
        r.fail("it selects rows or columns in arbitrary order; this is supported for channels only")
    tensor = r.tensor(f"layer_{len(r.nodes)}.index", np.asarray(order, np.int64))
    return Computed(r.add("gather", x.node, tensors={"index": tensor}, stored=x.stored), x.stored)


def _pad(r: Reader) -> Result:
    x, rank = r.computed(0), len(r.shape(0))
    if r.attribute("mode", "constant") != "constant":
        r.fail(f"its mode is {r.attribute('mode')}; only constant padding is supported")
    given = [int(size) for size in (r.array(1).reshape(-1) if r.has(1) else r.attribute("pads"))]
    axes = r.array(3).reshape(-1).tolist() if r.has(3) else list(range(rank + 1))
    before, after = given[: len(axes)], given[len(axes) :]
    at = {axis % (rank + 1): (b, a) for axis, b, a in zip(axes, before, after, strict=True)}
    height, width = at.pop(rank - 1, (0, 0)), at.pop(rank, (0, 0))
    if rank != 3 or any(pads != (0, 0) for pads in at.values()):
        r.fail("it pads other axes than H and W")
    number = float(r.array(2).reshape(())) if r.has(2) else float(r.attribute("value", 0.0))
    if x.stored is not None:
        number = (number - x.stored.zero_point) * x.stored.scale
    number = min(max(number, -MAX_FLOAT), MAX_FLOAT)
    return _move(r, "pad", x, pads=(*width, *height), value=number) if any((*width, *height)) else x


def _resize(r: Reader) -> Result:
    if r.attribute("mode", "nearest") != "nearest" or r.attribute("coordinate_transformation_mode") == "align_corners":
        r.fail("only nearest-neighbour upsampling by integer factors is supported")
    before = (r.batch, *r.shape(0))
    last = len(r.current.input) - 1
    given = r.array(last).astype(np.float64)
    scales = given / before if last == 3 else given
    vertical, horizontal = (round(float(scale)) for scale in scales[-2:])
    if len(before) != 4 or not np.allclose(scales, (1, 1, vertical, horizontal)):
        r.fail(f"it scales by {tuple(float(s) for s in scales)}; only integer factors of H and W are supported")
    return _move(r, "upsample", r.computed(0), scale=(vertical, horizontal))


# Quantization -------------------------------------------------------------------------------------------------


def _format(r: Reader) -> ActivationFormat:
    """Scale and zero point at inputs 1 and 2."""
    zero = r.array(2) if r.has(2) else np.zeros((), np.uint8)
    if r.array(1).size != 1 or zero.dtype not in (np.int8, np.uint8):
        r.fail("activations must be quantized per tensor to 8 bits")
    scale, point = float(r.array(1).reshape(())), int(zero.reshape(()))
    return ActivationFormat(scale=scale, zero_point=point, signed=zero.dtype == np.int8)


def _quantize(r: Reader) -> Result:
    """Quantize the input node itself if this is its only reader, else a copy."""
    fmt, node = _format(r), r.value(0)
    if node in r.activations or not r.is_read_once(r.current.input[0]):
        node = r.add("affine", node, scale=1.0, offset=0.0, name=f"{node}/quantized")
    r.activations[node] = fmt
    return Computed(node, fmt)


def _dequantize(r: Reader) -> Result:
    x, fmt = r.computed(0), _format(r)
    if x.stored is None:
        r.fail("its input is not quantized")
    if x.stored.model_copy(update={"bits": 8}) != fmt:
        r.fail("its scale or zero point differs from those with which its input was quantized")
    return Computed(x.node)


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        **{op_type: rule for op in OPS.values() for op_type, rule in op.onnx_readers.items()},
        "Clip": _clip,
        "Identity": _same,
        "Dropout": _same,
        "Cast": _same,
        "Add": partial(_binary, "add"),
        "Sub": partial(_binary, "sub"),
        "Mul": partial(_binary, "mul"),
        "Div": partial(_binary, "div"),
        "ReduceMean": partial(_reduce, "mean"),
        "ReduceSum": partial(_reduce, "sum"),
        "Conv": convolution,
        "Gemm": _gemm,
        "MatMul": _matmul,
        "MaxPool": max_pool,
        "AveragePool": average_pool,
        "GlobalAveragePool": _global_average,
        "GlobalMaxPool": _global_max,
        "Reshape": _reshape,
        "Flatten": _flatten,
        "Squeeze": _squeeze,
        "Unsqueeze": _unsqueeze,
        "Transpose": _transpose,
        "Concat": _concat,
        "Slice": _slice,
        "Split": _split,
        "Gather": _gather,
        "Pad": _pad,
        "Resize": _resize,
        "Upsample": _resize,
        "QuantizeLinear": _quantize,
        "DequantizeLinear": _dequantize,
    }
)

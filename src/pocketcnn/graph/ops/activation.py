"""Activation functions, softmax and dropout."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf, pi, sqrt
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketcnn.graph.node import Node, Shape
from pocketcnn.graph.ops.base import (
    Bounds,
    Function,
    Kind,
    OnnxEmitter,
    OnnxForm,
    OnnxOperator,
    OnnxReader,
    Op,
    ShapeRule,
    copy_into,
    require,
    require_rank,
    same_shape,
    stored_number,
    unbounded,
)
from pocketcnn.graph.ops.facts import ChannelRule, Family
from pocketcnn.graph.ops.reach import same_pixel, same_pixel_along_channels


def _activation(
    name: str,
    run: Callable[[Node, Tensor], Tensor],
    function: Function,
    onnx: OnnxForm,
    *,
    shape: ShapeRule = same_shape,
    bounds: tuple[float, float] | Bounds = unbounded,
    **facts: Any,
) -> Op:
    """An element-wise operation: `run` in torch, `function` in numpy and float64; `facts` are further fields of `Op`."""
    return Op(
        name=name,
        shape=shape,
        run=lambda node, inputs, tensors, training: run(node, inputs[0]),
        function=function,
        onnx=onnx,
        inplace=True,
        family=Family.ACTIVATION,
        channels=ChannelRule.ELEMENTWISE,
        reach=same_pixel,
        bounds=bounds if callable(bounds) else lambda node: bounds,
        **facts,
    )


def _writes(op_type: str, **attributes: object) -> OnnxForm:
    return lambda node, emit: emit.op(op_type, emit.inputs[0], **attributes)


def _reads(op_type: str, name: str) -> Mapping[str, OnnxReader]:
    """A reader for an ONNX operator without relevant attributes."""
    return {op_type: lambda r: r.add(name, r.value(0))}


# Clips --------------------------------------------------------------------------------------------------------


def _clip_bounds(node: Node) -> tuple[float, float]:
    return node.number("min"), node.number("max")


def _clip_onnx(node: Node, emit: OnnxEmitter, low: float | None = None, high: float | None = None) -> str:
    bounds = (node.number("min") if low is None else low, node.number("max") if high is None else high)
    return emit.op("Clip", emit.inputs[0], *(emit.constant(np.float32(bound)) for bound in bounds))


def _clip_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    require(node.number("min") <= node.number("max"), node, f"min {node.number('min')} > max {node.number('max')}")
    return inputs[0]


def _clipped(node: Node, x: np.ndarray) -> np.ndarray:
    low, high = clip_bounds(node)
    clipped: np.ndarray = np.clip(x, np.float32(low), np.float32(high))
    return clipped


RELU = _activation(
    "relu", lambda node, x: F.relu(x), _clipped, _writes("Relu"), bounds=(0.0, inf), clips=True, homogeneous=True,
    onnx_readers=_reads("Relu", "relu"), aten=("relu",), label="ReLU",
)  # fmt: skip
RELU6 = _activation(
    "relu6", lambda node, x: F.relu6(x), _clipped, partial(_clip_onnx, low=0.0, high=6.0), bounds=(0.0, 6.0), clips=True,
    homogeneous=True, aten=("relu6",), label="ReLU6",
)  # fmt: skip
CLIP = _activation(
    "clip",
    lambda node, x: F.hardtanh(x, node.number("min"), node.number("max")),
    _clipped,
    _clip_onnx,
    attrs={"min": Kind.FLOAT, "max": Kind.FLOAT},
    shape=_clip_shape,
    bounds=_clip_bounds,
    clips=True,
)

_CLIPS = {op.name: op for op in (RELU, RELU6, CLIP)}
CLIPS = frozenset(_CLIPS)
"""Activations that only clamp a value: ReLU, ReLU6, clip."""


def clip_bounds(node: Node) -> tuple[float, float]:
    """The lower and upper bound of an operation in `CLIPS`."""
    return _CLIPS[node.op].bounds(node)


# Smooth and piecewise linear functions ------------------------------------------------------------------------


def _sigmoid(x: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.exp(-np.logaddexp(0, -x))  # without overflow of the exponential
    return result


def _hardsigmoid(x: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.clip(x + 3, 0, 6) / 6
    return result


def _read_hardsigmoid(r: OnnxOperator) -> str:
    alpha, beta = r.attribute("alpha", 0.2), r.attribute("beta", 0.5)
    x = r.value(0)
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return r.add("hardsigmoid", x)
    return r.add("clip", r.add("affine", x, scale=float(alpha), offset=float(beta)), min=0.0, max=1.0)


def _silu_onnx(node: Node, emit: OnnxEmitter) -> str:
    return emit.op("Mul", emit.inputs[0], emit.op("Sigmoid", emit.inputs[0]))


def _softplus(x: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.logaddexp(0, x)
    return result


def _mish_onnx(node: Node, emit: OnnxEmitter) -> str:
    """x · tanh(softplus(x)); ONNX has an operator Mish only since opset 18."""
    return emit.op("Mul", emit.inputs[0], emit.op("Tanh", emit.op("Softplus", emit.inputs[0])))


def _erf(x: np.ndarray) -> np.ndarray:
    result: np.ndarray = torch.erf(torch.from_numpy(np.asarray(x, np.float64))).numpy()
    return result


def _gelu(node: Node, x: np.ndarray) -> np.ndarray:
    """x · Φ(x), or the approximation by tanh ("Gaussian Error Linear Units", Hendrycks and Gimpel, 2016, section 2)."""
    tanh = node.flag("tanh")
    curve = np.tanh(GELU_TANH_SCALE * (x + GELU_TANH_CUBE * x**3)) if tanh else _erf(x * GELU_ERF_SCALE)
    result: np.ndarray = 0.5 * x * (1 + curve)
    return result


GELU_ERF_SCALE, GELU_TANH_SCALE, GELU_TANH_CUBE = sqrt(0.5), sqrt(2 / pi), 0.044715


def _gelu_onnx(node: Node, emit: OnnxEmitter) -> str:
    """ONNX has an operator Gelu only since opset 20."""
    x = emit.inputs[0]
    if node.flag("tanh"):
        cube = emit.op("Mul", emit.op("Mul", x, x), emit.op("Mul", x, emit.constant(np.float32(GELU_TANH_CUBE))))
        inner = emit.op("Mul", emit.op("Add", x, cube), emit.constant(np.float32(GELU_TANH_SCALE)))
        curve = emit.op("Tanh", inner)
    else:
        curve = emit.op("Erf", emit.op("Mul", x, emit.constant(np.float32(GELU_ERF_SCALE))))
    half = emit.op("Mul", x, emit.constant(np.float32(0.5)))
    return emit.op("Mul", half, emit.op("Add", curve, emit.constant(np.float32(1))))


def _read_gelu(r: OnnxOperator) -> str:
    approximate = r.attribute("approximate", "none")
    name = approximate.decode() if isinstance(approximate, bytes) else approximate
    return r.add("gelu", r.value(0), tanh=name == "tanh")


def _leaky(node: Node, x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, x * stored_number(node, "slope"))


def _elu(node: Node, x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, stored_number(node, "alpha") * np.expm1(np.minimum(x, 0)))


HARDSWISH = _activation(
    "hardswish", lambda node, x: F.hardswish(x), lambda node, x: x * _hardsigmoid(x), _writes("HardSwish"),
    bounds=(-0.375, inf), gate=("hardsigmoid",), onnx_readers=_reads("HardSwish", "hardswish"), aten=("hardswish",),
    label="h-swish",
)  # fmt: skip
HARDSIGMOID = _activation(
    "hardsigmoid", lambda node, x: F.hardsigmoid(x), lambda node, x: _hardsigmoid(x),
    _writes("HardSigmoid", alpha=1 / 6, beta=0.5), bounds=(0.0, 1.0), onnx_readers={"HardSigmoid": _read_hardsigmoid},
    aten=("hardsigmoid",), label="h-sigmoid",
)  # fmt: skip
SIGMOID = _activation(
    "sigmoid", lambda node, x: torch.sigmoid(x), lambda node, x: _sigmoid(x), _writes("Sigmoid"), bounds=(0.0, 1.0),
    onnx_readers=_reads("Sigmoid", "sigmoid"), aten=("sigmoid",),
)  # fmt: skip
SILU = _activation(
    "silu", lambda node, x: F.silu(x), lambda node, x: x * _sigmoid(x), _silu_onnx, bounds=(-0.2785, inf),
    gate=("sigmoid",), aten=("silu",), label="SiLU",
)  # fmt: skip
TANH = _activation(
    "tanh", lambda node, x: torch.tanh(x), lambda node, x: np.tanh(x), _writes("Tanh"), bounds=(-1.0, 1.0),
    onnx_readers=_reads("Tanh", "tanh"), aten=("tanh",),
)  # fmt: skip
SOFTPLUS = _activation(
    "softplus", lambda node, x: F.softplus(x), lambda node, x: _softplus(x), _writes("Softplus"), bounds=(0.0, inf),
    onnx_readers=_reads("Softplus", "softplus"),
)  # fmt: skip
MISH = _activation(
    "mish", lambda node, x: F.mish(x), lambda node, x: x * np.tanh(_softplus(x)), _mish_onnx, bounds=(-0.3089, inf),
    gate=("tanh", "softplus"), onnx_readers=_reads("Mish", "mish"), aten=("mish",), label="Mish",
)  # fmt: skip
ERF = _activation(
    "erf", lambda node, x: torch.erf(x), lambda node, x: _erf(x), _writes("Erf"), bounds=(-1.0, 1.0),
    onnx_readers=_reads("Erf", "erf"), aten=("erf",),
)  # fmt: skip
GELU = _activation(
    "gelu", lambda node, x: F.gelu(x, approximate="tanh" if node.flag("tanh") else "none"), _gelu, _gelu_onnx,
    attrs={"tanh": Kind.BOOL}, bounds=(-0.1701, inf), onnx_readers={"Gelu": _read_gelu}, label="GELU",
)  # fmt: skip
LEAKY_RELU = _activation(
    "leaky_relu",
    lambda node, x: F.leaky_relu(x, node.number("slope")),
    _leaky,
    lambda node, emit: emit.op("LeakyRelu", emit.inputs[0], alpha=node.number("slope")),
    attrs={"slope": Kind.FLOAT},
    homogeneous=True,
    onnx_readers={
        "LeakyRelu": lambda r: r.add("leaky_relu", r.value(0), slope=float(r.attribute("alpha", 0.01))),
    },
    label="leaky ReLU",
)
ELU = _activation(
    "elu",
    lambda node, x: F.elu(x, node.number("alpha")),
    _elu,
    lambda node, emit: emit.op("Elu", emit.inputs[0], alpha=node.number("alpha")),
    attrs={"alpha": Kind.FLOAT},
    bounds=lambda node: (min(0.0, -node.number("alpha")), inf),
    onnx_readers={"Elu": lambda r: r.add("elu", r.value(0), alpha=float(r.attribute("alpha", 1.0)))},
    label="ELU",
)


# With parameters, along an axis, for training -----------------------------------------------------------------


def _prelu_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    weight = tensors["weight"]
    require(weight in ((1,), inputs[0][:1]), node, f"the slope has shape {weight} for {inputs[0][0]} channels")
    return inputs[0]


def _build_prelu(node: Node, tensors: Mapping[str, Tensor]) -> nn.Module:
    weight = tensors["weight"]
    return copy_into(nn.PReLU(weight.shape[0], dtype=weight.dtype, device=weight.device), tensors)


def _prelu_onnx(node: Node, emit: OnnxEmitter) -> str:
    slope = emit.array("weight")
    return emit.op("PRelu", emit.inputs[0], emit.constant(slope.reshape(-1, *(1,) * (len(node.shape) - 1))))


def _read_prelu(r: OnnxOperator) -> str:
    slope = r.array(1)
    if slope.size != max(slope.shape, default=1):
        r.fail(f"its slope has the shape {slope.shape}; it must have one value, or one per channel")
    return r.layer("prelu", r.value(0), {"weight": slope.reshape(-1)})


PRELU = Op(
    name="prelu",
    family=Family.ACTIVATION,
    channels=ChannelRule.PER_CHANNEL,
    reach=same_pixel,
    homogeneous=True,
    onnx_readers={"PRelu": _read_prelu},
    label="PReLU",
    tensors=("weight",),
    shape=_prelu_shape,
    run=lambda node, inputs, tensors, training: F.prelu(inputs[0], tensors["weight"]),
    module=_build_prelu,
    onnx=_prelu_onnx,
    inplace=True,
)


def _softmax_run(node: Node, inputs: Sequence[Tensor], tensors: Mapping[str, Tensor], training: bool) -> Tensor:
    return torch.softmax(inputs[0], node.integer("axis") + 1)


def _softmax_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    require(
        0 <= node.integer("axis") < len(inputs[0]), node, f"the shape {inputs[0]} has no axis {node.integer('axis')}"
    )
    return inputs[0]


def _read_softmax(r: OnnxOperator) -> str:
    return r.add("softmax", r.value(0), axis=r.axis(r.attribute("axis", -1), len(r.shape(0))))


SOFTMAX = Op(
    name="softmax",
    family=Family.ACTIVATION,
    channels=ChannelRule.MIXES_AXIS,
    reach=same_pixel_along_channels,
    bounds=lambda node: (0.0, 1.0),
    onnx_readers={"Softmax": _read_softmax},
    attrs={"axis": Kind.INT},
    shape=_softmax_shape,
    run=_softmax_run,
    onnx=lambda node, emit: emit.op("Softmax", emit.inputs[0], axis=node.integer("axis") + 1),
)


def _run_dropout(node: Node, inputs: Sequence[Tensor], tensors: Mapping[str, Tensor], training: bool) -> Tensor:
    drop = F.dropout2d if node.flag("whole_channels") else F.dropout
    return drop(inputs[0], node.number("p"), training)


def _dropout_shape(node: Node, inputs: Sequence[Shape], tensors: Mapping[str, Shape]) -> Shape:
    require(0 <= node.number("p") <= 1, node, f"p is {node.number('p')}; it must be from 0 to 1")
    if node.flag("whole_channels"):
        require_rank(node, inputs[0], 3)
    return inputs[0]


DROPOUT = Op(
    name="dropout",
    family=Family.REGULARIZATION,
    channels=ChannelRule.ELEMENTWISE,
    reach=same_pixel,
    homogeneous=True,
    data_movement=True,
    attrs={"p": Kind.FLOAT, "whole_channels": Kind.BOOL},
    shape=_dropout_shape,
    run=_run_dropout,
    onnx=lambda node, emit: emit.inputs[0],  # the identity at inference
    inplace=True,
    view=True,
)

ACTIVATION_OPS = (
    RELU, RELU6, HARDSWISH, HARDSIGMOID, SIGMOID, SILU, TANH, SOFTPLUS, MISH, ERF, GELU, CLIP, LEAKY_RELU, ELU, PRELU, SOFTMAX,
    DROPOUT,
)  # fmt: skip

"""Convolution, linear layer, and shift (as a depthwise convolution)."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from pocketcnn.formats.tflite.emitter import Emitter, IntegerSupport, OperatorEmitter, StoredWeight, keeps_scale
from pocketcnn.formats.tflite.layout import flattened_columns
from pocketcnn.formats.tflite.values import Value, fits
from pocketcnn.formats.tflite.windows import Windows, windows
from pocketcnn.graph.node import Attr
from pocketcnn.layers.shift import shift_kernel


def _has_integer_weight(emit: Emitter) -> bool:
    """Whether the weight is quantized with scales that the integer kernels support."""
    if emit.weight is None or emit.weight.scales is None or emit.inputs[0].quantization is None:
        return False
    return fits(emit.inputs[0].quantization.scale * float(emit.weight.scales.max()), emit.result)


def _padded(emit: Emitter, window: Windows) -> tuple[Value, str]:
    """The input and the padding scheme; the input is padded explicitly if neither SAME nor VALID is equivalent."""
    if window.scheme is not None:
        return emit.inputs[0], window.scheme
    return emit.padded(emit.inputs[0], window.before, window.after), "VALID"


def _options(emit: Emitter, window: Windows, scheme: str) -> dict[str, object]:
    """Strides, dilations and padding as options, which all convolution operators share."""
    return {
        "padding": getattr(emit.builder.paddings, scheme),
        "strideH": window.stride[0],
        "strideW": window.stride[1],
        "dilationHFactor": window.dilation[0],
        "dilationWFactor": window.dilation[1],
        **emit.fused,
    }


def convolution(emit: Emitter) -> Value:
    """CONV_2D with a filter (O, K, K, I/G), whose last axis implies the groups; DEPTHWISE_CONV_2D with (1, K, K, O)."""
    weight = emit.weight
    if weight is None:
        raise ValueError(f"{emit.node.name!r} has no weight")
    vertical, horizontal = weight.array.shape[2:]
    window = windows(emit.node, emit.shapes[0], (vertical, horizontal))
    value, scheme = _padded(emit, window)
    options = _options(emit, window, scheme)
    if emit.node.integer("groups") == emit.shapes[0][0] > 1:
        taps = emit.filter(lambda array: array.transpose(1, 2, 3, 0), axis=3)
        multiplier = len(weight.array) // emit.shapes[0][0]
        return emit.compute("DEPTHWISE_CONV_2D", value, taps, emit.offset(), depthMultiplier=multiplier, **options)
    taps = emit.filter(lambda array: array.transpose(0, 2, 3, 1), axis=0)
    return emit.compute("CONV_2D", value, taps, emit.offset(), **options)


def linear(emit: Emitter) -> Value:
    """FULLY_CONNECTED; the columns of the weight are reordered if the input is a flattened feature map (channels last)."""
    shape = emit.flattened
    taps = emit.filter(lambda array: array if shape is None else flattened_columns(array, shape), axis=0)
    return emit.compute("FULLY_CONNECTED", emit.inputs[0], taps, emit.offset(), **emit.fused)


def constant_depthwise(emit: Emitter, kernel: np.ndarray, scale: float) -> Emitter:
    """`emit` as a depthwise convolution with the integer `kernel` (C, 1, K, K) times `scale`."""
    channels = len(kernel)
    attrs: dict[str, Attr] = {
        "stride": (1, 1),
        "padding": (0, 0),
        "dilation": (1, 1),
        **emit.node.attrs,
        "groups": channels,
    }
    node = replace(emit.node, attrs=attrs, tensors={"weight": f"{emit.node.name}/kernel"})
    weight = StoredWeight((kernel * scale).astype(np.float32))
    if emit.is_integer:
        weight = StoredWeight(kernel.astype(np.int8), np.full(channels, scale, np.float32))
    return replace(emit, node=node, weight=weight, bias=None)


def shift(emit: Emitter) -> Value:
    """A depthwise convolution whose kernels contain a single 1."""
    kernel = shift_kernel(emit.node.ints("down"), emit.node.ints("right")).numpy()
    taps = constant_depthwise(emit, kernel, 1.0)
    padding = (kernel.shape[2] // 2, kernel.shape[3] // 2)
    node = replace(taps.node, attrs={**taps.node.attrs, "padding": padding})
    return convolution(replace(taps, node=node))


CONVOLUTIONS: Mapping[str, OperatorEmitter] = MappingProxyType(
    {
        "conv2d": OperatorEmitter(convolution, IntegerSupport.COMPUTES, _has_integer_weight, fusing=True),
        "linear": OperatorEmitter(linear, IntegerSupport.COMPUTES, _has_integer_weight, fusing=True),
        "shift": OperatorEmitter(shift, IntegerSupport.COMPUTES, keeps_scale, fusing=True),
    }
)

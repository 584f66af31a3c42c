"""Operator versions, by which a runtime that is too old for a file rejects it instead of computing a wrong result.

They are assigned as by TensorFlow Lite's converter (`GetBuiltinOperatorVersion` in op_version.cc).
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pocketcnn.formats.tflite.values import Value

_INT8: Mapping[str, int] = MappingProxyType(
    {
        **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D"), 3),
        "FULLY_CONNECTED": 4,
        **dict.fromkeys(("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "MEAN", "RELU", "RELU6", "LOGISTIC", "SOFTMAX"), 2),
        **dict.fromkeys(("CONCATENATION", "PAD", "PADV2", "STRIDED_SLICE", "GATHER", "TRANSPOSE"), 2),
        **dict.fromkeys(("MAX_POOL_2D", "AVERAGE_POOL_2D", "RESIZE_NEAREST_NEIGHBOR", "DEQUANTIZE"), 2),
    }
)

_MANY_AXES: Mapping[str, Mapping[int, int]] = MappingProxyType(
    {
        "TRANSPOSE": {5: 4, 6: 6, 7: 8},
        "STRIDED_SLICE": {5: 4},
        "PAD": {5: 4},
        "PADV2": {5: 4},
        "SUB": {5: 3},
        "MAXIMUM": {5: 3},
        "MINIMUM": {5: 3},
        "DIV": {5: 2},
    }
)
"""Operator -> number of axes -> lowest version for that number of axes or more."""


def operator_version(
    builtin: str, inputs: Sequence[Value], output: Value, options: Mapping[str, object] | None = None
) -> int:
    """The lowest version of `builtin` that supports this use."""
    first = inputs[0]
    version = _INT8.get(builtin, 1) if first.quantization else 1
    for axes, needed in _MANY_AXES.get(builtin, {}).items():
        version = max(version, needed if len(first.shape) >= axes else 1)
    if builtin == "CONV_2D" and inputs[1].shape[3] != first.shape[3]:
        version = 6  # grouped
    if builtin == "DEPTHWISE_CONV_2D" and options and options.get("dilationHFactor", 1) != 1:
        version = max(version, 2)
    if builtin == "DEPTHWISE_CONV_2D" and options and options.get("dilationWFactor", 1) != 1:
        version = max(version, 2)
    if builtin == "DEQUANTIZE" and first.quantization and len(first.quantization.scales) > 1:
        version = 5
    return max(version, 3) if builtin == "MUL" and _grows(inputs, output) else version


def _grows(inputs: Sequence[Value], output: Value) -> bool:
    """Whether the scale of the accumulator is larger than that of the result."""
    first, second = (value.quantization for value in inputs)
    if first is None or second is None or output.quantization is None:
        return False
    return first.scale * second.scale / output.quantization.scale >= 1

"""Batch normalization that could not be folded, and local response normalization (AlexNet)."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from pocketcnn.formats.tflite.emitter import Emitter, OperatorEmitter
from pocketcnn.formats.tflite.layout import stored_array
from pocketcnn.formats.tflite.values import Value


def batch_norm(emit: Emitter) -> Value:
    """Batch normalization of a vector that no linear layer computes, which cannot be folded."""
    deviation = np.sqrt(emit.array("running_var").astype(np.float64) + emit.node.number("eps"))
    scale = (emit.array("weight") if "weight" in emit.node.tensors else 1.0) / deviation
    offset = (emit.array("bias") if "bias" in emit.node.tensors else 0.0) - emit.array("running_mean") * scale
    rest = (1,) * (len(emit.node.shape) - 1)
    factor, summand = (emit.floats(stored_array(part.reshape(-1, *rest))) for part in (scale, offset))
    return emit.compute("ADD", emit.step("MUL", emit.inputs[0], factor), summand)


def local_response_norm(emit: Emitter) -> Value:
    """x / (k + alpha · mean of squares)^beta over `size` channels; the operator sums over 2 · radius + 1 channels."""
    size = emit.node.integer("size")
    return emit.compute(
        "LOCAL_RESPONSE_NORMALIZATION",
        emit.inputs[0],
        radius=size // 2,
        bias=emit.node.number("k"),
        alpha=emit.node.number("alpha") / size,
        beta=emit.node.number("beta"),
    )


NORMALIZATIONS: Mapping[str, OperatorEmitter] = MappingProxyType(
    {"batch_norm": OperatorEmitter(batch_norm), "local_response_norm": OperatorEmitter(local_response_norm)}
)

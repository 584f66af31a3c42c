"""Which layers of an int8 ONNX file saturate on x86 processors without VNNI, found from the file alone.

There ONNX Runtime multiplies uint8 activations by int8 weights with ``vpmaddubsw``: the products of two neighbours are added in
int16 with saturation. uint8 weights are widened to 16 bits first and multiplied with ``vpmaddwd``, which is exact, as is VNNI's
``vpdpbusd``. So a file is judged on every machine by the largest sum of two products that its weights and uint8 allow.
"""

import numpy as np
import onnx
import onnx.inliner
from onnx import numpy_helper

LOWEST, HIGHEST = -(1 << 15), (1 << 15) - 1
LARGEST_ACTIVATION = 255
_MULTIPLIES = frozenset({"Conv", "Gemm", "MatMul"})


def saturating_layers(data: bytes) -> tuple[str, ...]:
    """The names of the int8 weights with which sums of pairs can leave int16; empty for a file without int8 weights.

    Which channels are neighbours depends on the kernel, so the two largest weights of an output channel count. Depthwise
    convolutions have kernels of their own, which are exact.
    """
    model = onnx.ModelProto.FromString(data)
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    constants = {constant.name: constant for constant in model.graph.initializer}
    read = {
        node.output[0]: node.input[0]
        for node in model.graph.node
        if node.op_type == "DequantizeLinear"
        and node.input[0] in constants
        and constants[node.input[0]].data_type == onnx.TensorProto.INT8
    }
    found = []
    for node in model.graph.node:
        name = read.get(node.input[1]) if node.op_type in _MULTIPLIES and len(node.input) > 1 else None
        if name is not None and saturates(numpy_helper.to_array(constants[name])):
            found.append(name)
    return tuple(dict.fromkeys(found))


def saturates(weight: np.ndarray) -> bool:
    """Whether uint8 activations exist with which a pair of products leaves int16, for weights (outputs, ...) of int8."""
    rows = weight.reshape(len(weight), -1).astype(np.int64)
    if (weight.ndim == 4 and weight.shape[1] == 1) or rows.shape[1] < 2:
        return False
    ordered = np.sort(rows, axis=1)
    largest, smallest = np.maximum(ordered[:, -2:], 0).sum(1), np.minimum(ordered[:, :2], 0).sum(1)
    return bool((LARGEST_ACTIVATION * largest > HIGHEST).any() or (LARGEST_ACTIVATION * smallest < LOWEST).any())

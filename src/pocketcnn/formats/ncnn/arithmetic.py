"""Arithmetic, constants, reductions and normalization in ncnn."""

from pocketcnn.formats.ncnn.emitter import Emitter, OperatorEmitter, blob_shape, shape_params
from pocketcnn.formats.ncnn.layer import Param, untagged
from pocketcnn.graph.node import Node

ADD, SUB, MUL, DIV = range(4)
SUM, MEAN = 0, 3
AVERAGE = 1
ACROSS_CHANNELS = 0


def _binary(operation: int) -> OperatorEmitter:
    return lambda node, emit: _binary_layer(node, emit, operation)


def _binary_layer(node: Node, emit: Emitter, operation: int) -> str:
    """ncnn broadcasts axes of size 1 as PyTorch does, and a vector with a map as one value per channel."""
    first, second = emit.shape(0), emit.shape(1)
    ranks = {len(first), len(second)}
    same_blobs = ranks == {3} and first[0] == second[0] and _is_map_or_vector(first) and _is_map_or_vector(second)
    if first == second or same_blobs:
        return emit.layer("BinaryOp", *emit.inputs, params={0: operation})
    return emit.as_blob(emit.layer("BinaryOp", emit.full_rank(0), emit.full_rank(1), params={0: operation}))


def _is_map_or_vector(shape: tuple[int, ...]) -> bool:
    return blob_shape(shape) != shape or 1 not in shape[1:]


def _scalar(emit: Emitter, value: str, operation: int, number: float) -> str:
    return emit.layer("BinaryOp", value, params={0: operation, 1: 1, 2: number})


def _affine(node: Node, emit: Emitter) -> str:
    value = emit.inputs[0]
    if (scale := node.number("scale")) != 1:
        value = _scalar(emit, value, MUL, scale)
    if (offset := node.number("offset")) != 0:
        value = _scalar(emit, value, ADD, offset)
    return value


def _constant(node: Node, emit: Emitter) -> str:
    shape = blob_shape(node.ints("shape"))
    return emit.layer("MemoryData", params=shape_params(shape), weights=(untagged(emit.array("value").reshape(shape)),))


def _mean(node: Node, emit: Emitter) -> str:
    if len(emit.shape()) == 3 and sorted(node.ints("axes")) == [1, 2]:
        return emit.layer("Pooling", emit.full_rank(), params={0: AVERAGE, 4: 1})
    return _reduction(node, emit, MEAN)


def _reduction(node: Node, emit: Emitter, operation: int) -> str:
    keep = int(node.flag("keepdim"))
    params: dict[int, Param] = {
        0: operation,
        1: 0,
        3: node.ints("axes"),
        4: keep,
        5: 1,
    }  # 5=1: axis 0 is the outermost
    return emit.as_blob(emit.layer("Reduction", emit.full_rank(), params=params))


def _batch_norm(node: Node, emit: Emitter) -> str:
    mean = emit.array("running_mean")
    slope, bias = (emit.array(role) if role in node.tensors else None for role in ("weight", "bias"))
    arrays = (mean * 0 + 1 if slope is None else slope, mean, emit.array("running_var"))
    weights = [untagged(array) for array in (*arrays, mean * 0 if bias is None else bias)]
    return emit.layer("BatchNorm", emit.inputs[0], params={0: len(mean), 1: node.number("eps")}, weights=weights)


def _local_response_norm(node: Node, emit: Emitter) -> str:
    params: dict[int, Param] = {0: ACROSS_CHANNELS, 1: node.integer("size")}
    params |= {2: node.number("alpha"), 3: node.number("beta"), 4: node.number("k")}
    return emit.as_blob(emit.layer("LRN", emit.full_rank(), params=params))


ARITHMETIC: dict[str, OperatorEmitter] = {
    "add": _binary(ADD),
    "sub": _binary(SUB),
    "mul": _binary(MUL),
    "div": _binary(DIV),
    "affine": _affine,
    "constant": _constant,
    "mean": _mean,
    "sum": lambda node, emit: _reduction(node, emit, SUM),
    "batch_norm": _batch_norm,
    "local_response_norm": _local_response_norm,
}

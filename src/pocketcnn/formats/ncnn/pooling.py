"""Pooling and resampling in ncnn."""

from pocketcnn.formats.ncnn.emitter import Emitter, OperatorEmitter, Unsupported
from pocketcnn.formats.ncnn.layout import padded
from pocketcnn.graph.node import Node
from pocketcnn.graph.ops.pooling import window_reach

MAX, AVERAGE = 0, 1
EXPLICIT = 1
"""Padding mode: explicit padding, output sizes rounded down."""


def _window(node: Node, reach: tuple[int, int]) -> dict[int, int]:
    """Kernel, stride and explicit padding up to the end of the last window: ncnn's rounding up differs from PyTorch's."""
    (rows, columns), (down, right), (top, left) = node.pair("kernel"), node.pair("stride"), node.pair("padding")
    return {1: columns, 11: rows, 2: right, 12: down, 3: left, 13: top, 14: reach[1], 15: reach[0], 5: EXPLICIT}


def _max_pool(node: Node, emit: Emitter) -> str:
    if node.pair("dilation") != (1, 1):
        raise Unsupported(node, f"its dilation is {node.pair('dilation')}; ncnn does not support dilated pooling")
    params = {0: MAX, **_window(node, window_reach(node, emit.shape()))}
    return emit.as_blob(emit.layer("Pooling", emit.full_rank(), params=params))


def _avg_pool(node: Node, emit: Emitter) -> str:
    """PyTorch counts the padding but no pixels beyond it: where a window exceeds it, the padding is a separate layer."""
    value, reach, (top, left) = emit.full_rank(), window_reach(node, emit.shape()), node.pair("padding")
    window, counted = _window(node, reach), node.flag("count_padding")
    if counted and reach != (top, left):
        value = padded(emit, value, (left, left, top, top), 0.0)
        window |= {3: 0, 13: 0, 14: reach[1] - left, 15: reach[0] - top}
        counted = False
    return emit.as_blob(emit.layer("Pooling", value, params={0: AVERAGE, **window, 6: int(counted)}))


def _adaptive_avg_pool(node: Node, emit: Emitter) -> str:
    rows, columns = node.pair("size")
    if (rows, columns) == (1, 1):
        return emit.layer("Pooling", emit.full_rank(), params={0: AVERAGE, 4: 1})
    return emit.as_blob(emit.layer("Pooling", emit.full_rank(), params={0: AVERAGE, 7: 1, 8: columns, 18: rows}))


def _upsample(node: Node, emit: Emitter) -> str:
    vertical, horizontal = node.pair("scale")
    params = {0: 1, 1: float(vertical), 2: float(horizontal)}  # 0=1: nearest
    return emit.as_blob(emit.layer("Interp", emit.full_rank(), params=params))


POOLING: dict[str, OperatorEmitter] = {
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "adaptive_avg_pool": _adaptive_avg_pool,
    "upsample": _upsample,
}

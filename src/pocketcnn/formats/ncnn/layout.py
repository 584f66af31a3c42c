"""Data movement in ncnn."""

from collections.abc import Sequence
from itertools import pairwise

from pocketcnn.formats.ncnn.emitter import Emitter, OperatorEmitter, blob_shape
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node
from pocketcnn.graph.ops.layout import shuffle_order

_AXES = {1: "W", 2: "HW", 3: "CHW", 4: "CDHW"}
"""ncnn's letters for the axes, outermost first."""

_ORDERS = {
    1: ("W",),
    2: ("WH", "HW"),
    3: ("WHC", "HWC", "WCH", "CWH", "HCW", "CHW"),
    4: (
        *("WHDC", "HWDC", "WDHC", "DWHC", "HDWC", "DHWC", "WHCD", "HWCD", "WCHD", "CWHD", "HCWD", "CHWD"),
        *("WDCH", "DWCH", "WCDH", "CWDH", "DCWH", "CDWH", "HDCW", "DHCW", "HCDW", "CHDW", "DCHW", "CDHW"),
    ),
}
"""The order types of Permute: the source of each axis of the result, innermost first."""


def _concat(node: Node, emit: Emitter) -> str:
    axis, indices = node.integer("axis"), range(len(node.inputs))
    if axis == 0 and blob_shape(node.shape) != node.shape:
        return emit.layer("Concat", *emit.inputs, params={0: 0})
    return emit.as_blob(emit.layer("Concat", *map(emit.full_rank, indices), params={0: axis}))


def _slice(node: Node, emit: Emitter) -> str:
    axis, start, stop, step = (node.integer(name) for name in ("axis", "start", "stop", "step"))
    siblings = _partition(emit.graph, node)
    if siblings:
        return emit.as_blob(_part(node, emit, siblings))
    if step == 1 or len(range(start, stop, step)) == 1:
        return emit.as_blob(
            cropped(
                emit, emit.full_rank(), axis, start, start + len(range(start, stop, step)) if step == 1 else start + 1
            )
        )
    if len(node.shape) == 3 and axis > 0:
        return emit.as_blob(_every(emit, cropped(emit, emit.full_rank(), axis, start, stop), axis, step))
    return emit.as_blob(picked(emit, emit.full_rank(), axis, range(start, stop, step)))


def _partition(graph: Graph, node: Node) -> list[Node]:
    """The slices, including `node`, that partition a value along one axis, in order; empty if there is no partition."""
    axis, source = node.integer("axis"), graph[node.inputs[0]]
    cuts = {
        (user.integer("start"), user.integer("stop")): user
        for user in graph.users(source.name)
        if user.op == "slice" and user.integer("axis") == axis and user.integer("step") == 1
    }
    parts = [cuts[bounds] for bounds in sorted(cuts)]
    ends = [0, *(part.integer("stop") for part in parts)]
    is_complete = ends[-1] == source.shape[axis] and all(
        part.integer("start") == end for part, end in zip(parts, ends, strict=False)
    )
    return parts if is_complete and len(parts) > 1 and node in parts else []


def _part(node: Node, emit: Emitter, siblings: Sequence[Node]) -> str:
    """The first of the siblings adds one Slice layer for all of them."""
    axis = node.integer("axis")
    key = ("slice", node.inputs[0], axis)
    if key not in emit.shared:
        sizes = [part.shape[axis] for part in siblings]
        emit.shared[key] = emit.layers("Slice", emit.full_rank(), params={0: sizes, 1: axis}, outputs=len(sizes))
    return emit.shared[key][siblings.index(node)]


def cropped(emit: Emitter, value: str, axis: int, start: int, stop: int) -> str:
    """`value` from `start` to `stop` along `axis`."""
    return emit.layer("Crop", value, params={9: (start,), 10: (stop,), 11: (axis,)})


def _every(emit: Emitter, value: str, axis: int, step: int) -> str:
    """Every `step`-th row or column of a map, by a strided pooling with windows of one pixel."""
    rows, columns = (step, 1) if axis == 1 else (1, step)
    return emit.layer("Pooling", value, params={0: 0, 1: 1, 2: columns, 12: rows, 5: 1})


def picked(emit: Emitter, value: str, axis: int, order: Sequence[int]) -> str:
    """The elements `order` along `axis`. ncnn has no gather: consecutive runs are cropped and concatenated."""
    size = emit.shape()[axis]
    runs = _runs(order)
    cuts = sorted({0, size, *(bound for run in runs for bound in run)})
    if len(cuts) == 2:
        pieces = {(0, size): value}
    else:
        sizes = [stop - start for start, stop in pairwise(cuts)]
        parts = emit.layers(
            "Slice", value, params={0: sizes, 1: axis}, outputs=len(sizes), name=f"{emit.node.name}/cut"
        )
        pieces = dict(zip(pairwise(cuts), parts, strict=True))
    inner = [[piece for piece in pieces if start <= piece[0] and piece[1] <= stop] for start, stop in runs]
    joined = [pieces[piece] for run in inner for piece in sorted(run)]
    return joined[0] if len(joined) == 1 else emit.layer("Concat", *joined, params={0: axis})


def _runs(order: Sequence[int]) -> list[tuple[int, int]]:
    """`order` as half-open intervals of consecutive indices."""
    runs: list[tuple[int, int]] = []
    for index in order:
        if runs and runs[-1][1] == index:
            runs[-1] = (runs[-1][0], index + 1)
        else:
            runs.append((index, index + 1))
    return runs


def _gather(node: Node, emit: Emitter) -> str:
    order = [int(index) for index in emit.array("index")]
    channels = emit.shape()[0]
    if len(node.shape) == 3 and (groups := _shuffle_groups(order, channels)):
        return emit.as_blob(emit.layer("ShuffleChannel", emit.full_rank(), params={0: groups}))
    as_vector = blob_shape(node.shape) != node.shape and blob_shape(emit.shape()) != emit.shape()
    return (
        picked(emit, emit.inputs[0], 0, order) if as_vector else emit.as_blob(picked(emit, emit.full_rank(), 0, order))
    )


def _shuffle_groups(order: Sequence[int], channels: int) -> int | None:
    """The number of groups if `order` is a channel shuffle, else None."""
    if len(order) != channels or channels < 2 or not order[1] or channels % order[1]:
        return None
    groups = channels // order[1]
    return groups if list(order) == shuffle_order(channels, groups) else None


def _roll(node: Node, emit: Emitter) -> str:
    value = emit.full_rank()
    for shift, axis in zip(node.ints("shifts"), node.ints("axes"), strict=True):
        size = node.shape[axis]
        if cut := -shift % size:
            value = picked(emit, value, axis, [*range(cut, size), *range(cut)])
    return emit.as_blob(value)


def padded(emit: Emitter, value: str, pads: Sequence[int], number: float) -> str:
    """`value` padded with `number`; `pads` is (left, right, top, bottom), each 0 or more."""
    left, right, top, bottom = pads
    params = {0: top, 1: bottom, 2: left, 3: right, 5: number}
    return emit.layer("Padding", value, params=params, name=f"{emit.node.name}/pad")


def _pad(node: Node, emit: Emitter) -> str:
    """Negative pads become a Crop before the padding."""
    value, (_, height, width) = emit.full_rank(), emit.shape()
    left, right, top, bottom = node.ints("pads")
    for axis, size, before, after in ((1, height, top, bottom), (2, width, left, right)):
        if min(before, after) < 0:
            value = cropped(emit, value, axis, max(0, -before), size + min(0, after))
    pads = [max(0, pad) for pad in node.ints("pads")]
    return emit.as_blob(padded(emit, value, pads, node.number("value")) if any(pads) else value)


def _reshape(node: Node, emit: Emitter) -> str:
    shape = blob_shape(node.shape)
    if shape == blob_shape(emit.shape()):
        return emit.inputs[0]
    return emit.reshaped(emit.inputs[0], shape)


def _permute(node: Node, emit: Emitter) -> str:
    order = node.ints("order")
    letters = _AXES[len(order)]
    kind = _ORDERS[len(order)].index("".join(letters[axis] for axis in reversed(order)))
    if kind == 0:
        return emit.inputs[0]
    return emit.as_blob(emit.layer("Permute", emit.full_rank(), params={0: kind}))


LAYOUT: dict[str, OperatorEmitter] = {
    "concat": _concat,
    "slice": _slice,
    "channel_shuffle": lambda node, emit: emit.as_blob(
        emit.layer("ShuffleChannel", emit.full_rank(), params={0: node.integer("groups")})
    ),
    "gather": _gather,
    "roll": _roll,
    "pad": _pad,
    "reshape": _reshape,
    "permute": _permute,
}

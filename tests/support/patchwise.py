"""Runs the first stage of a graph patch by patch, every operation on no more of its input than the arithmetic says."""

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor

from pocketcnn.cost.patches import patch_intervals, stage
from pocketcnn.cost.receptive_field import Interval, needed, reach, window
from pocketcnn.graph.graph import Graph
from pocketcnn.graph.node import Node
from pocketcnn.graph.ops import OPS

Part = tuple[Interval, Interval]
"""Rows and columns."""


def run_patches(graph: Graph, split: str, grid: int, image: Tensor) -> tuple[Tensor, int]:
    """The value `split`, put together of patches, and the multiply-adds that they took."""
    rows, columns = (patch_intervals(graph, split, axis, grid) for axis in (0, 1))
    output = torch.full((1, *graph[split].shape), float("nan"))
    madds = 0
    for row in rows:
        for column in columns:
            parts = {name: (row[name], column[name]) for name in row}
            value, work = run_patch(graph, stage(graph, split), parts, image)
            (top, bottom), (left, right) = parts[split]
            output[:, :, top:bottom, left:right] = value
            madds += work
    return output, madds


def run_patch(graph: Graph, nodes: list[Node], parts: Mapping[str, Part], image: Tensor) -> tuple[Tensor, int]:
    values: dict[str, Tensor] = {}
    madds = 0
    for node in nodes:
        tensors = graph.node_tensors(node)
        if node.op == "input":
            values[node.name] = cut(image, parts["input"])
        elif node.op == "constant":
            values[node.name] = OPS["constant"].run(node, [], tensors, False)
        else:
            part = parts[node.name]
            inputs = [_input(graph, node, name, part, parts, values) for name in node.inputs]
            values[node.name] = _compute(graph, node, inputs, part)
            lengths = tuple(end - start for start, end in part)
            assert tuple(values[node.name].shape[2:]) == lengths, node
            madds += graph.madds(node) * prod(lengths) // prod(node.shape[1:])
    return values[nodes[-1].name], madds


def cut(value: Tensor, part: Part) -> Tensor:
    (top, bottom), (left, right) = part
    return value[:, :, top:bottom, left:right]


def _input(
    graph: Graph, node: Node, name: str, part: Part, parts: Mapping[str, Part], values: Mapping[str, Tensor]
) -> Tensor:
    """What `node` may see of its input: the needed part, cut from the part that is there."""
    if graph[name].op == "constant":
        return values[name]
    wanted = [needed(graph, node, graph[name], axis, part[axis]) for axis in (0, 1)]
    there = parts[name]
    relative = tuple((w[0] - t[0], w[1] - t[0]) for w, t in zip(wanted, there, strict=True))
    return cut(values[name], (relative[0], relative[1]))


def _compute(graph: Graph, node: Node, inputs: list[Tensor], part: Part) -> Tensor:
    tensors = graph.node_tensors(node)
    wide = [reach(graph, node, axis, part[axis]) for axis in (0, 1)]
    source = graph[node.inputs[0]]
    if node.op == "conv2d":
        x = _bordered(inputs[0], source, wide, 0.0)
        return OPS["conv2d"].run(replace(node, attrs={**node.attrs, "padding": (0, 0)}), [x], tensors, False)
    if node.op == "max_pool":
        x = _bordered(inputs[0], source, wide, float("-inf"))
        return F.max_pool2d(x, node.pair("kernel"), node.pair("stride"), 0, node.pair("dilation"))
    if node.op == "avg_pool":
        return _average(graph, node, inputs[0], source, wide)
    if node.op == "pad":
        return _bordered(inputs[0], source, wide, node.number("value"))
    if node.op == "shift":
        return _shifted(node, _bordered(inputs[0], source, wide, 0.0), part)
    if node.op == "upsample":
        large = OPS["upsample"].run(node, inputs, tensors, False)
        offsets = [p[0] - w[0] * scale for p, w, scale in zip(part, wide, node.pair("scale"), strict=True)]
        return cut(large, tuple((o, o + p[1] - p[0]) for o, p in zip(offsets, part, strict=True)))  # type: ignore[arg-type]
    if node.op == "slice" and node.integer("axis") > 0:
        step = node.integer("step")
        return inputs[0][:, :, ::step] if node.integer("axis") == 1 else inputs[0][:, :, :, ::step]
    return OPS[node.op].run(node, inputs, tensors, False)


def _bordered(x: Tensor, source: Node, wide: list[Interval], value: float) -> Tensor:
    """`x` with `value` where the wanted part lies outside of the map; where it lies there as a whole, nothing but that."""
    height, width = source.shape[1:]
    canvas = x.new_full((1, x.shape[1], wide[0][1] - wide[0][0], wide[1][1] - wide[1][0]), value)
    top, left = min(max(wide[0][0], 0), height - 1) - wide[0][0], min(max(wide[1][0], 0), width - 1) - wide[1][0]
    rows = min(wide[0][1], height) - max(wide[0][0], 0)
    columns = min(wide[1][1], width) - max(wide[1][0], 0)
    if rows > 0 and columns > 0:
        canvas[:, :, top : top + rows, left : left + columns] = x[:, :, :rows, :columns]
    return canvas


def _average(graph: Graph, node: Node, x: Tensor, source: Node, wide: list[Interval]) -> Tensor:
    """Sums over windows, divided by what counts in each: pixels, and padding if the node says so, never what is beyond."""
    kernel, stride = node.pair("kernel"), node.pair("stride")
    total = F.avg_pool2d(_bordered(x, source, wide, 0.0), kernel, stride, divisor_override=1)
    rows, columns = (_counts(graph, node, source, axis, wide[axis]) for axis in (0, 1))
    return total / (rows[:, None] * columns)


def _counts(graph: Graph, node: Node, source: Node, axis: int, wide: Interval) -> Tensor:
    extent, stride, padding = window(graph, node, axis)
    counted = padding if node.flag("count_padding") else 0
    size = source.shape[1 + axis]
    inside = torch.tensor([float(-counted <= place < size + counted) for place in range(*wide)])
    return inside.unfold(0, extent, stride).sum(1)


def _shifted(node: Node, x: Tensor, part: Part) -> Tensor:
    down, right = node.ints("down"), node.ints("right")
    height, width = (end - start for start, end in part)
    planes = [
        x[:, c, max(down) - down[c] :][:, :height, max(right) - right[c] :][:, :, :width] for c in range(x.shape[1])
    ]
    return torch.stack(planes, 1)

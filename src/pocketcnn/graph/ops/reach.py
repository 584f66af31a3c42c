"""Receptive-field arithmetic: which part of its input an operation reads for a part of its output.

Parts are half-open intervals of rows (axis 0) or columns (axis 1). They include the padding: they may begin before the first
pixel and end after the last.
"""

from collections.abc import Callable, Mapping

from pocketcnn.graph.node import Node, Shape

Interval = tuple[int, int]
Reach = Callable[[Node, Mapping[str, Shape], int, Interval], Interval | None]
"""(node, tensor shapes by role, axis, part of the output) -> part of each input; None if the whole input is needed."""


def whole_input(node: Node, tensors: Mapping[str, Shape], axis: int, part: Interval) -> None:
    """Each output pixel may depend on all input pixels, as for a global mean."""
    return


def same_pixel(node: Node, tensors: Mapping[str, Shape], axis: int, part: Interval) -> Interval:
    """Each output pixel depends only on the input pixel at the same position, in any channel."""
    return part


def same_pixel_along_channels(node: Node, tensors: Mapping[str, Shape], axis: int, part: Interval) -> Interval | None:
    """As `same_pixel` if the attribute ``axis`` is the channel axis, else the whole input."""
    return part if node.integer("axis") == 0 else None


def window(node: Node, tensors: Mapping[str, Shape], axis: int) -> tuple[int, int, int]:
    """Extent (with dilation), stride and padding of the window of a convolution or pooling along an axis."""
    kernel = tensors["weight"][2:] if "weight" in tensors else node.pair("kernel")
    dilation = node.pair("dilation")[axis] if "dilation" in node.attrs else 1
    return dilation * (kernel[axis] - 1) + 1, node.pair("stride")[axis], node.pair("padding")[axis]


def sliding_reach(node: Node, tensors: Mapping[str, Shape], axis: int, part: Interval) -> Interval:
    """Rule for a sliding window."""
    extent, stride, padding = window(node, tensors, axis)
    return part[0] * stride - padding, (part[1] - 1) * stride - padding + extent


def pad_reach(node: Node, tensors: Mapping[str, Shape], axis: int, part: Interval) -> Interval:
    """Rule for padding by the attribute ``pads``: left, right, top, bottom."""
    before = node.ints("pads")[2 if axis == 0 else 0]
    return part[0] - before, part[1] - before


def slice_reach(node: Node, tensors: Mapping[str, Shape], axis: int, part: Interval) -> Interval:
    """Rule for a slice: every ``step``-th row or column from ``start``; a slice of channels reads the same pixels."""
    if node.integer("axis") != 1 + axis:
        return part
    start, step = node.integer("start"), node.integer("step")
    return start + step * part[0], start + step * (part[1] - 1) + 1


def upsample_reach(node: Node, tensors: Mapping[str, Shape], axis: int, part: Interval) -> Interval:
    """Rule for nearest-neighbour upsampling by ``scale``."""
    scale = node.pair("scale")[axis]
    return part[0] // scale, (part[1] - 1) // scale + 1


def shift_reach(node: Node, tensors: Mapping[str, Shape], axis: int, part: Interval) -> Interval:
    """Rule for a shift: the union of the channels' offsets."""
    offsets = node.ints("down" if axis == 0 else "right")
    return part[0] - max(offsets), part[1] - min(offsets)

"""Which part of its input an operation reads for a part of its output: receptive-field arithmetic.

Parts are intervals of rows (axis 0) or columns (axis 1), from the first to one beyond the last. They count the padding: they may
begin before the first pixel and end after the last.
"""

from collections.abc import Callable, Mapping

from pocketcnn.graph.node import Node, Shape

Interval = tuple[int, int]
Reach = Callable[[Node, Mapping[str, Shape], int, Interval], Interval | None]
"""(node, tensor shapes by role, axis, part of the output) -> part of each input; None if all of it is needed."""


def whole_input(node: Node, tensors: Mapping[str, Shape], axis: int, part: Interval) -> None:
    """Any pixel may depend on all pixels, as with a mean over the image."""
    return


def same_pixel(node: Node, tensors: Mapping[str, Shape], axis: int, part: Interval) -> Interval:
    """A pixel depends on the pixel at its place, in any of its channels."""
    return part


def same_pixel_along_channels(node: Node, tensors: Mapping[str, Shape], axis: int, part: Interval) -> Interval | None:
    """The same, if the attribute ``axis`` is the channels."""
    return part if node.integer("axis") == 0 else None


def window(node: Node, tensors: Mapping[str, Shape], axis: int) -> tuple[int, int, int]:
    """Extent, stride and padding of a convolution's or a pooling's window along an axis."""
    kernel = tensors["weight"][2:] if "weight" in tensors else node.pair("kernel")
    dilation = node.pair("dilation")[axis] if "dilation" in node.attrs else 1
    return dilation * (kernel[axis] - 1) + 1, node.pair("stride")[axis], node.pair("padding")[axis]


def sliding_reach(node: Node, tensors: Mapping[str, Shape], axis: int, part: Interval) -> Interval:
    """A sliding window."""
    extent, stride, padding = window(node, tensors, axis)
    return part[0] * stride - padding, (part[1] - 1) * stride - padding + extent


def pad_reach(node: Node, tensors: Mapping[str, Shape], axis: int, part: Interval) -> Interval:
    """A border of the attribute ``pads``: left, right, top, bottom."""
    before = node.ints("pads")[2 if axis == 0 else 0]
    return part[0] - before, part[1] - before


def slice_reach(node: Node, tensors: Mapping[str, Shape], axis: int, part: Interval) -> Interval:
    """Every ``step``-th row or column from ``start``; a slice of channels keeps all pixels."""
    if node.integer("axis") != 1 + axis:
        return part
    start, step = node.integer("start"), node.integer("step")
    return start + step * part[0], start + step * (part[1] - 1) + 1


def upsample_reach(node: Node, tensors: Mapping[str, Shape], axis: int, part: Interval) -> Interval:
    """Each pixel ``scale`` times."""
    scale = node.pair("scale")[axis]
    return part[0] // scale, (part[1] - 1) // scale + 1


def shift_reach(node: Node, tensors: Mapping[str, Shape], axis: int, part: Interval) -> Interval:
    """Each channel moved by its own distance."""
    offsets = node.ints("down" if axis == 0 else "right")
    return part[0] - max(offsets), part[1] - min(offsets)

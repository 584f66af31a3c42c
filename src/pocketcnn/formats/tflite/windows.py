"""Padding of sliding windows: SAME or VALID if equivalent, else an explicit PAD operator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pocketcnn.graph.node import Node, Shape

Scheme = Literal["SAME", "VALID"]


@dataclass(frozen=True)
class Windows:
    """The windows of a convolution or pooling over (C, H, W); pairs are (vertical, horizontal)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    before: tuple[int, int]
    """Padding above and to the left."""
    after: tuple[int, int]
    """Padding below and to the right, up to the end of the last window."""
    scheme: Scheme | None
    """The equivalent scheme; None if there is none and explicit padding is needed."""

    @property
    def padded(self) -> bool:
        """Whether any window exceeds the input."""
        return any((*self.before, *self.after))


def windows(node: Node, inputs: Shape, kernel: tuple[int, int]) -> Windows:
    """The windows of `node` over a value of shape `inputs`."""
    dilation = node.pair("dilation") if "dilation" in node.attrs else (1, 1)
    stride, before = node.pair("stride"), node.pair("padding")
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    down, right = (
        max(0, (length - 1) * s + r - size - p)
        for length, size, s, r, p in zip(node.shape[1:], inputs[1:], stride, reach, before, strict=True)
    )
    axes = [
        _schemes(size, length, s, r, p, a)
        for size, length, s, r, p, a in zip(
            inputs[1:], node.shape[1:], stride, reach, before, (down, right), strict=True
        )
    ]
    return Windows(kernel, stride, dilation, before, (down, right), _common(axes))


def _schemes(size: int, length: int, stride: int, reach: int, before: int, after: int) -> set[Scheme]:
    """The schemes that pad one axis by `before` and `after`.

    SAME pads the minimum for ceil(size / stride) outputs, with the smaller half before.
    """
    found: set[Scheme] = set()
    if before == after == 0:
        found.add("VALID")
    if length == -(-size // stride) and before == max(0, (length - 1) * stride + reach - size) // 2:
        found.add("SAME")
    return found


def _common(axes: Sequence[set[Scheme]]) -> Scheme | None:
    vertical, horizontal = axes
    shared = vertical & horizontal
    return "VALID" if "VALID" in shared else "SAME" if shared else None

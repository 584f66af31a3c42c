"""Options of the networks of the zoo for small images."""

from pocketcnn.errors import UsageError
from pocketcnn.layers import make_divisible

from .registry import network_options, registration

SMALL = 64
"""Images whose shorter side has fewer pixels are small."""


def is_small(size: tuple[int, int]) -> bool:
    """Whether an image of (height, width) is small."""
    return min(size) < SMALL


def total_stride_for(size: tuple[int, int]) -> int:
    """The total stride for an image of (height, width).

    It is 32 in the papers, for 224 pixels. The CIFAR variants end with a 4 x 4 map, and so do these for any small size.
    """
    if not is_small(size):
        return 32
    stride = 2
    while stride < 32 and min(size) // (2 * stride) >= 4:
        stride *= 2
    return stride


def takes(name: str, size: tuple[int, int]) -> bool:
    """Whether the network supports images of (height, width), with its default options or those for small images.

    Raises:
        UsageError: an unknown name.
    """
    return min(size) >= smallest_side(name)


def smallest_side(name: str) -> int:
    """The pixels that the shorter side of an image must have for the network, in its default form or that for small images.

    Raises:
        UsageError: an unknown name.
    """
    known = registration(name)
    return known.smallest_small_side if "total_stride" in network_options(name) else known.smallest_side


def options_for(name: str, size: tuple[int, int], width: float = 1.0) -> dict[str, object]:
    """The options of `create(name, width=width, ...)` for images of `size` (height, width).

    `total_stride` as in `total_stride_for`, at most that of the paper. For small images also `head_width`, where the network
    has such a head: it shrinks with the width, while the paper's, sized for 1000 classes, does not.

    Raises:
        UsageError: an unknown name, or images that are smaller than the network takes.
    """
    known, defaults = registration(name), network_options(name)
    options: dict[str, object] = {}
    if "total_stride" in defaults:
        options["total_stride"] = min(total_stride_for(size), defaults["total_stride"])
    if not takes(name, size):
        raise UsageError(
            f"{name} takes images of at least {smallest_side(name)} pixels a side, not {size[0]} x {size[1]}. "
            "Choose another network, or larger images."
        )
    if is_small(size) and known.small_image_head is not None:
        options["head_width"] = make_divisible(known.small_image_head * width)
    return options

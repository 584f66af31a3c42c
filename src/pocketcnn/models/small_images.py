"""Which images are small, and what a network keeps of them: such images get another form of the networks."""

SMALL = 64
"""Pixels of the short side below which an image is small."""


def is_small(size: tuple[int, int]) -> bool:
    """Whether an image of (height, width) is small."""
    return min(size) < SMALL


def total_stride_for(size: tuple[int, int]) -> int:
    """How much smaller the last feature map is than an image of (height, width).

    32 in the papers, for 224 pixels. The CIFAR forms of these networks keep a 4 x 4 map; so do we for any small size.
    """
    if not is_small(size):
        return 32
    stride = 2
    while stride < 32 and min(size) // (2 * stride) >= 4:
        stride *= 2
    return stride

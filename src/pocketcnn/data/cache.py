"""A cache of decoded images in memory, filled on demand and shared with forked worker processes."""

import mmap
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


class PixelCache:
    """uint8 images (N, C, H, W), with a flag per image whether it is cached.

    The memory is an anonymous shared mapping: forked workers share what one of them decodes, unused pages take no
    memory, and /dev/shm, which is small in containers, is not needed.
    """

    def __init__(self, images: int, shape: tuple[int, int, int]) -> None:
        self._pixels = _shared(images * _volume(shape)).view(images, *shape)
        self._filled = _shared(images)

    def get(self, indices: Sequence[int], read: Callable[[list[int]], list[Tensor]]) -> Tensor:
        """A copy of the images at `indices` (n, C, H, W); those that are not cached are decoded by `read`."""
        missing = [index for index in dict.fromkeys(indices) if not self._filled[index]]
        if missing:
            for index, pixels in zip(missing, read(missing), strict=True):
                self._pixels[index] = pixels
                self._filled[index] = 1  # after the pixels, because other processes read concurrently
        return self._pixels[list(indices)]


def cache_bytes(images: int, shape: tuple[int, int, int]) -> int:
    """The size of a full cache in bytes."""
    return images * _volume(shape)


def _volume(shape: tuple[int, int, int]) -> int:
    channels, height, width = shape
    return channels * height * width


def _shared(count: int) -> Tensor:
    return torch.frombuffer(mmap.mmap(-1, max(count, 1)), dtype=torch.uint8)[:count]
